package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// Who a guest's server on IPv6 sees, over TCP and UDP, for clients of both IP
// versions. The port is always the client's.
func TestHostfwdSourceIPv6(t *testing.T) {
	g, _, path := controlled(t, "-6")
	addr := guestAddr6(t, g)
	at := net.JoinHostPort(addr, "80")
	serveTCP(t, g, at, tellPeer)
	serveUDP6(t, g, at)
	const gateway = "fd00::2"
	for _, c := range []sourceCase{
		{client{"loopback", nil, "", "::1"}, "::1", gateway},
		{client{"host's address", nil, "", "2001:db8:100::1"}, "::", ""},
		{client{"remote", lab.Inet, "", "2001:db8:100::1"}, "2001:db8:100::1", ""},
		{client{"loopback IPv4", nil, "", "127.0.0.1"}, "0.0.0.0", gateway},
		{client{"remote IPv4", lab.Inet, "", "198.51.100.1"}, "::", gateway},
	} {
		for _, network := range []string{"tcp", "udp"} {
			t.Run(network+" "+c.name, func(t *testing.T) { c.check(t, path, network, addr) })
		}
	}
}

// So it is over IPv6.
func TestHostfwdClientInGuestPrefixIPv6(t *testing.T) {
	addInetAddr(t, "fd00::50")
	hostRoute(t, "fd00::50/128", "via", "2001:db8:100::2")
	g, _, path := controlled(t, "-6")
	addr := guestAddr6(t, g)
	serveTCP(t, g, net.JoinHostPort(addr, "80"), tellPeer)
	serveUDP6(t, g, net.JoinHostPort(addr, "80"))
	for _, network := range []string{"tcp", "udp"} {
		t.Run(network, func(t *testing.T) {
			sourceCase{client{ns: lab.Inet, from: "fd00::50", to: "2001:db8:100::1"}, "::", "fd00::2"}.check(t, path, network, addr)
		})
	}
}

// A guest that refuses over IPv6, or says that there is no way, is a reset for
// clients of both IP versions.
func TestHostfwdRefusedIPv6(t *testing.T) {
	g, _, path := controlled(t, "-6")
	addr := guestAddr6(t, g)
	guestSysctl(t, g, "net.ipv6.conf.all.forwarding", "1")
	g.Run(t, commandTimeout, "ip", "-6", "route", "add", "unreachable", "2001:db8::200")
	for guest, why := range map[string]string{addr: "refused", "2001:db8::200": "unreachable"} {
		for _, host := range []string{"127.0.0.1", "::1"} {
			_, port := forwardTo(t, path, "tcp", host, 0, guest, 81)
			c, err := client{to: host}.dial("tcp", port)
			start := time.Now()
			if err == nil {
				_, err = c.Read(make([]byte, 1))
				c.Close()
			}
			if d := time.Since(start); !errors.Is(err, syscall.ECONNRESET) || d > 2*time.Second {
				t.Errorf("%s, from %s: %v after %v, want a reset at once", why, host, err, d)
			}
		}
	}
}

// guestAddr6 is the guest's own address in fd00::/64, once it may be used.
func guestAddr6(t *testing.T, g *lab.Guest) (addr string) {
	t.Helper()
	prefix := netip.MustParsePrefix("fd00::/64")
	await(t, "an IPv6 address of the guest", func() bool {
		g.Do(func() error {
			ifi, err := net.InterfaceByName("tap0")
			if err != nil {
				return err
			}
			addrs, err := ifi.Addrs()
			for _, a := range addrs {
				p, err := netip.ParsePrefix(a.String())
				if err != nil || !prefix.Contains(p.Addr()) {
					continue
				}
				l, err := net.Listen("tcp6", netip.AddrPortFrom(p.Addr(), 0).String())
				if err != nil {
					return err // tentative
				}
				l.Close()
				addr = p.Addr().String()
			}
			return err
		})
		return addr != ""
	})
	return addr
}

// serveUDP6 tells clients of an IPv6 address in the guest who they are.
func serveUDP6(t *testing.T, g *lab.Guest, at string) {
	t.Helper()
	var c net.PacketConn
	if err := g.Do(func() (err error) {
		c, err = net.ListenPacket("udp6", at)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 1<<16)
		for {
			_, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			fmt.Fprint(writerTo{c, from}, from)
		}
	}()
}

// writerTo sends to one address.
type writerTo struct {
	c  net.PacketConn
	to net.Addr
}

func (w writerTo) Write(b []byte) (int, error) { return w.c.WriteTo(b, w.to) }
