package e2e

import (
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// Frames that no kernel sends, for the host's loopback in each way to write it,
// lead there neither with nor without --disable-host-loopback; the gateway leads
// there without.
func TestIPv6CraftedLoopback(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		open int32 // times that the gateway leads to a server
	}{"open": {nil, 1}, "closed": {[]string{"--disable-host-loopback"}, 0}} {
		t.Run(name, func(t *testing.T) {
			// Of both IP versions, on all addresses.
			var connections, datagrams atomic.Int32
			port := freePort(t)
			at := netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(port))
			serveTCP(t, lab.Host, at.String(), func(*net.TCPConn) { connections.Add(1) })
			serveUDP(t, lab.Host, at.String(), func(string, netip.AddrPort) string { datagrams.Add(1); return "reached" })
			s := newStation6(t, c.args...)
			// tries sends one of each kind, and returns what came back.
			tries := func(dst string, answered bool) (got []string) {
				from, to := netip.AddrPortFrom(s.addr, crafted), netip.AddrPortFrom(netip.MustParseAddr(dst), uint16(port))
				s.send6(packet6(unix.IPPROTO_TCP, usualHops, s.addr, to.Addr(), syn6(from, to)))
				got = append(got, s.answer6(answered))
				s.send6(packet6(unix.IPPROTO_UDP, usualHops, s.addr, to.Addr(), udp6(from, to, []byte("hello"))))
				return append(got, s.answer6(answered))
			}
			for _, dst := range []string{"::1", "::", "::ffff:127.0.0.1", "::ffff:0.0.0.0", "::ffff:10.0.2.2", "::127.0.0.1", "::ffff:0:127.0.0.1", "ff01::1"} {
				echo, to, msg := s.echo6(dst, []byte("hello"))
				got := tries(dst, false)
				s.send6(packet6(echo, usualHops, s.addr, to, msg))
				for _, answer := range append(got, s.answer6(false)) {
					if answer != "" && !strings.HasPrefix(answer, "ICMPv6 1/") {
						t.Errorf("%s: %s", dst, answer)
					}
				}
			}
			if n, m := connections.Load(), datagrams.Load(); n != 0 || m != 0 {
				t.Errorf("%d connections and %d datagrams have reached the host's loopback", n, m)
			}
			// The same, for the one address that may lead there.
			want := "SYN-ACK from fd00::2, datagram from fd00::2"
			if c.open == 0 {
				want = "ICMPv6 1/0 from fd00::2, ICMPv6 1/0 from fd00::2"
			}
			if got := strings.Join(tries(gateway6, true), ", "); got != want {
				t.Errorf("the gateway: %s, want %s", got, want)
			}
			await(t, "the servers have counted", func() bool { return connections.Load() == c.open && datagrams.Load() == c.open })
		})
	}
}
