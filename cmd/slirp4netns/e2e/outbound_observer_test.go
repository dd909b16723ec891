package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// observer is what servers at one address see of the guest's source, by each
// protocol.
type observer struct {
	addr     netip.Addr
	tcp, udp string // servers that tell their client's address
	wire     *sniffer
}

// observe starts servers at an address of a namespace that tell where their
// clients come from. Pings are seen on the link; on whichever, if that is empty.
func observe(t *testing.T, ns namespace, addr, link string) *observer {
	t.Helper()
	o := &observer{addr: netip.MustParseAddr(addr)}
	at := netip.AddrPortFrom(o.addr, 0)
	var l *net.TCPListener
	var pc *net.UDPConn
	if err := ns.Do(func() (err error) {
		if l, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at)); err != nil {
			return err
		}
		pc, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); pc.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().WithZone(""))
			c.Close()
		}
	}()
	go func() {
		b := make([]byte, 16)
		for {
			_, from, err := pc.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			pc.WriteToUDPAddrPort([]byte(from.Addr().WithZone("").String()), from)
		}
	}()
	o.tcp, o.udp = l.Addr().String(), pc.LocalAddr().String()
	o.wire = sniff(t, ns, link, nil)
	return o
}

// sources are the addresses that TCP, UDP and a ping came from, or what the
// guest was told.
func (o *observer) sources(t *testing.T, g *lab.Guest) string {
	t.Helper()
	return strings.Join([]string{overTCP(g, o.tcp), overUDP(t, g, o.udp), o.overPing(t, g)}, " ")
}

// overTCP is what a TCP server says, or the guest's error.
func overTCP(g *lab.Guest, addr string) string {
	c, err := g.Dial("tcp", addr, commandTimeout)
	if err != nil {
		return unix.ErrnoName(errno(err))
	}
	defer c.Close()
	said, err := readAll(c)
	if err != nil {
		return err.Error()
	}
	return said
}

// overUDP is what a UDP server says, or the guest's error.
func overUDP(t *testing.T, g *lab.Guest, addr string) string {
	t.Helper()
	socket := newUDP
	if netip.MustParseAddrPort(addr).Addr().Is6() {
		socket = newUDP6
	}
	s := socket(t, g)
	s.connect(addr)
	if err := s.send("?", ""); err != nil {
		return err.Error()
	}
	if b, from := s.receiveBytes(time.Second); from != "" {
		return string(b)
	}
	return s.fault(0)
}

// overPing is the address that a request came from, if its reply came back, or
// what ping says.
func (o *observer) overPing(t *testing.T, g *lab.Guest) string {
	t.Helper()
	before := len(o.pings())
	if said := pingSays(t, g, "-W", "1", o.addr.String()); !strings.HasPrefix(said, "reply") {
		return said
	}
	var all []netip.Addr
	if !eventually(func() bool { all = o.pings(); return len(all) > before }, false) {
		return "a reply to no request"
	}
	return all[before].String()
}

// pings are the sources of all echo requests so far.
func (o *observer) pings() []netip.Addr {
	if o.addr.Is6() {
		return o.wire.pings6()
	}
	return o.wire.pings4()
}

// pings4 are the sources of all echo requests of IPv4 without options.
func (s *sniffer) pings4() []netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []netip.Addr
	for _, p := range s.packets {
		if len(p) > 20 && p[0] == 0x45 && p[9] == unix.IPPROTO_ICMP && p[20] == 8 {
			all = append(all, netip.AddrFrom4([4]byte(p[12:16])))
		}
	}
	return all
}

// pings6 are the sources of all echo requests of IPv6 without extension headers.
func (s *sniffer) pings6() []netip.Addr {
	var all []netip.Addr
	for _, p := range s.all6() {
		if len(p) > 40 && p[6] == unix.IPPROTO_ICMPV6 && p[40] == 128 {
			all = append(all, netip.AddrFrom16([16]byte(p[8:24])))
		}
	}
	return all
}

// all6 are the packets of IPv6 so far.
func (s *sniffer) all6() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.packets6[:len(s.packets6):len(s.packets6)]
}
