package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// An ICMPv6 error about a SYN or a datagram reaches the guest as it was sent,
// from who sent it, and a connect(2) ends as it would have on the host.
func TestICMP6Errors(t *testing.T) {
	g, _ := connectedGuest(t, "--enable-ipv6")
	errors := []struct {
		name      string
		typ, code uint8
	}{
		{"no route", 1, 0},
		{"prohibited", 1, 1},
		{"address unreachable", 1, 3},
		{"port unreachable", 1, 4},
		{"hop limit exceeded", 3, 0},
	}
	dst := func(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("2001:db8:203::%x", 0x100+i)) }
	var pc net.PacketConn
	if err := lab.Inet.Do(func() (err error) {
		pc, err = net.ListenPacket("ip6:ipv6-icmp", lab.InetAddr6.String())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	// inet itself would answer 1/0.
	onHost(t, "ip", "-6", "-n", "inet", "route", "add", "blackhole", "2001:db8:203::/48")
	t.Cleanup(func() { onHost(t, "ip", "-6", "-n", "inet", "route", "del", "blackhole", "2001:db8:203::/48") })
	answered := make(chan struct{})
	t.Cleanup(func() { <-answered; pc.Close() })
	arrived := sniff6(t, lab.Inet, lab.InetLink)
	go func() {
		defer close(answered)
		for p := range arrived {
			for i, e := range errors {
				if netip.AddrFrom16([16]byte(p[24:40])) == dst(i) {
					// The kernel puts the checksum in.
					pc.WriteTo(append([]byte{e.typ, e.code, 0, 0, 0, 0, 0, 0}, p...), &net.IPAddr{IP: lab.HostAddr6.AsSlice()})
				}
			}
		}
	}()
	wire := sniff(t, g, "tap0", nil)
	for i, e := range errors {
		tcp, udp := fmt.Sprintf("[%s]:80", dst(i)), fmt.Sprintf("[%s]:81", dst(i))
		_, err := net.DialTimeout("tcp6", tcp, 5*time.Second)
		want := errno(err)
		if want == 0 {
			t.Fatalf("%s: the host itself sees %v", e.name, err)
		}
		start := time.Now()
		_, err = g.Dial("tcp6", tcp, 5*time.Second)
		if errno(err) != want || time.Since(start) > 500*time.Millisecond {
			t.Errorf("%s: the guest sees %v after %v, the host %v", e.name, err, time.Since(start), want)
		}
		c, err := g.Dial("udp6", udp, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, "anybody there?")
		c.Close()
		message := fmt.Sprintf("%d/%d from %s", e.typ, e.code, lab.InetAddr6)
		for proto, port := range map[uint8]uint16{unix.IPPROTO_TCP: 80, unix.IPPROTO_UDP: 81} {
			var got string
			if !eventually(func() bool { got = wire.icmp6About(dst(i), proto, port); return got == message }, false) {
				t.Errorf("%s, protocol %d: the guest was sent %q, want %q", e.name, proto, got, message)
			}
		}
	}
}

// sniff6 hands over the IPv6 packets that link carries, until the test's end.
func sniff6(t *testing.T, ns namespace, link string) <-chan []byte {
	t.Helper()
	s, packets, stop := sniff(t, ns, link, nil), make(chan []byte), make(chan struct{})
	t.Cleanup(func() { close(stop) })
	go func() {
		defer close(packets)
		for next := 0; ; {
			s.mu.Lock()
			all := s.packets6[next:]
			next = len(s.packets6)
			s.mu.Unlock()
			for _, p := range all {
				select {
				case packets <- p:
				case <-stop:
					return
				}
			}
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return packets
}

// icmp6About is the ICMPv6 error about a packet of the protocol to dst.
func (s *sniffer) icmp6About(dst netip.Addr, proto uint8, port uint16) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.packets6 {
		const quoted = 40 + 8
		if len(p) < quoted+44 || p[6] != unix.IPPROTO_ICMPV6 || p[40] >= 128 || p[quoted+6] != proto {
			continue
		}
		if netip.AddrFrom16([16]byte(p[quoted+24:quoted+40])) == dst && uint16(p[quoted+42])<<8|uint16(p[quoted+43]) == port {
			return fmt.Sprintf("%d/%d from %s", p[40], p[41], netip.AddrFrom16([16]byte(p[8:24])))
		}
	}
	return ""
}
