package e2e

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// hostAddress gives the host one more address until the test ends.
func hostAddress(t *testing.T, addr, dev string) {
	t.Helper()
	add := []string{"addr", "add", addr, "dev", dev}
	if strings.Contains(addr, ":") {
		add = append(add, "nodad") // it can be used at once
	}
	onHost(t, "ip", add...)
	t.Cleanup(func() { _ = onHost(t, "sh", "-c", "ip addr del "+addr+" dev "+dev+" 2>/dev/null || :") })
}

const otherSource = "198.51.100.9"

// --outbound-addr=ADDRESS is what everything leaves the host from.
func TestOutboundAddress(t *testing.T) {
	hostAddress(t, otherSource+"/24", lab.HostLink)
	o := observe(t, lab.Inet, lab.InetAddr4.String(), "")
	onBoth(t, []string{"--outbound-addr=" + otherSource}, func(t *testing.T, g *lab.Guest, c bool) {
		both("198.51.100.9 198.51.100.9 198.51.100.9").check(t, "sources", o.sources(t, g), c)
	})
}

// What goes to the host's loopback is exempt: a service there sees a client on
// loopback, and so lets it in. C comes from the other address.
func TestOutboundAddressLoopback(t *testing.T) {
	hostAddress(t, otherSource+"/24", lab.HostLink)
	_, udp := serveUDP(t, lab.Host, "127.0.0.1:0", func(_ string, from netip.AddrPort) string { return from.Addr().String() })
	port := udp[strings.LastIndex(udp, ":"):]
	onBoth(t, []string{"--outbound-addr=" + otherSource}, func(t *testing.T, g *lab.Guest, c bool) {
		client := curl(t, g, "http://10.0.2.2:"+strconv.Itoa(lab.HostHTTPPort)+"/client")
		client, _, _ = strings.Cut(client, ":")
		expectation{"127.0.0.1", otherSource}.check(t, "TCP", client, c)
		expectation{"127.0.0.1", otherSource}.check(t, "UDP", overUDP(t, g, "10.0.2.2"+port), c)
		both("reply ttl=255").check(t, "ping", pingSays(t, g, "10.0.2.2"), c)
	})
}

// An address that is not one of the host's: we say so and do not start. C says
// nothing and connects nobody.
func TestOutboundAddressNotOurs(t *testing.T) {
	lab.RequireBinary(t)
	g := lab.NewGuest(t, lab.GuestOptions{})
	out, status := runToEnd(t, lab.OrdinaryUID, lab.Binary, "-c", "--outbound-addr=192.0.2.200", strconv.Itoa(g.PID), "tap0")
	if want := "outbound address 192.0.2.200 is not an address of this host"; status != 1 || !strings.Contains(out, want) {
		t.Errorf("status %d, %q, want %q", status, out, want)
	}
	o := observe(t, lab.Inet, lab.InetAddr4.String(), "")
	c, _ := guestOf(t, lab.Reference, lab.OrdinaryUID, "--outbound-addr=192.0.2.200")
	if got := overTCP(c, o.tcp); got != "ENETUNREACH" {
		t.Errorf("C over TCP: %q", got)
	}
}

// An address that the host loses: the guest is told at once, by each protocol,
// and nothing leaves from another address. When it is back, all works again.
func TestOutboundAddressLost(t *testing.T) {
	hostAddress(t, otherSource+"/24", lab.HostLink)
	o := observe(t, lab.Inet, lab.InetAddr4.String(), "")
	g, _ := guestOf(t, "", lab.OrdinaryUID, "--outbound-addr="+otherSource)
	const works = "198.51.100.9 198.51.100.9 198.51.100.9"
	if got := o.sources(t, g); got != works {
		t.Fatalf("sources %q, want %q", got, works)
	}
	onHost(t, "ip", "addr", "del", otherSource+"/24", "dev", lab.HostLink)
	if got, want := o.sources(t, g), "ENETUNREACH ENETUNREACH 3/0 from 10.0.2.2 10.0.2.2: Destination Net Unreachable"; got != want {
		t.Errorf("without the address: %q, want %q", got, want)
	}
	onHost(t, "ip", "addr", "add", otherSource+"/24", "dev", lab.HostLink)
	if got := o.sources(t, g); got != works {
		t.Errorf("with the address again: %q, want %q", got, works)
	}
}

// secondLink is another way from the host to inet, by host1, which no route
// prefers. It is gone when the test ends.
func secondLink(t *testing.T) {
	t.Helper()
	onHost(t, "ip", "link", "add", "host1", "type", "veth", "peer", "name", "inet1", "netns", "inet")
	t.Cleanup(func() { onHost(t, "ip", "link", "del", "host1") })
	onHost(t, "ip", "addr", "add", "198.18.0.1/24", "dev", "host1")
	onHost(t, "ip", "link", "set", "host1", "up")
	onHost(t, "ip", "-n", "inet", "addr", "add", "198.18.0.254/24", "dev", "inet1")
	onHost(t, "ip", "-n", "inet", "link", "set", "inet1", "up")
	onHost(t, "ip", "route", "add", "default", "via", "198.18.0.254", "dev", "host1", "metric", "10000")
}

// --outbound-addr=INTERFACE: everything leaves by that interface, though the
// host's routes prefer another one, and from the address that the interface has
// now. C looks for the address once, and leaves the way to the routes.
func TestOutboundInterface(t *testing.T) {
	secondLink(t)
	o := observe(t, lab.Inet, lab.InetAddr4.String(), "")
	onBoth(t, []string{"--outbound-addr=host1"}, func(t *testing.T, g *lab.Guest, c bool) {
		wire := sniff(t, lab.Inet, "inet1", nil)
		both("198.18.0.1 198.18.0.1 198.18.0.1").check(t, "sources", o.sources(t, g), c)
		for _, proto := range []uint8{unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_ICMP} {
			arrived := eventually(func() bool { return wire.from("198.18.0.1", proto) }, c)
			if arrived == c {
				t.Errorf("protocol %d left by the interface: %v, want %v", proto, arrived, !c)
			}
		}
	})
	g, _ := guestOf(t, "", lab.OrdinaryUID, "--outbound-addr=host1")
	o.sources(t, g)
	onHost(t, "ip", "addr", "del", "198.18.0.1/24", "dev", "host1") // and, with it, the route
	onHost(t, "ip", "addr", "add", "198.18.0.7/24", "dev", "host1")
	onHost(t, "ip", "route", "add", "default", "via", "198.18.0.254", "dev", "host1", "metric", "10000")
	const want = "198.18.0.7 198.18.0.7 198.18.0.7"
	var got string
	if !eventually(func() bool { got = o.sources(t, g); return got == want }, false) {
		t.Errorf("after the address has changed: %q, want %q", got, want)
	}
}

// from tells whether a packet of the protocol came from addr.
func (s *sniffer) from(addr string, proto uint8) bool {
	a := netip.MustParseAddr(addr).As4()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.packets {
		if p[9] == proto && [4]byte(p[12:16]) == a {
			return true
		}
	}
	return false
}

// eventually polls cond for 5 s, or for a shorter time if it is not expected to
// hold.
func eventually(cond func() bool, unexpected bool) bool {
	timeout := 5 * time.Second
	if unexpected {
		timeout = 300 * time.Millisecond
	}
	for end := time.Now().Add(timeout); ; time.Sleep(10 * time.Millisecond) {
		if cond() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// With its interface gone, nothing leaves by another one. C goes on from the
// address alone.
func TestOutboundInterfaceGone(t *testing.T) {
	secondLink(t)
	o := observe(t, lab.Inet, lab.InetAddr4.String(), "")
	g, _ := guestOf(t, "", lab.OrdinaryUID, "--outbound-addr=host1")
	if got, want := overTCP(g, o.tcp), "198.18.0.1"; got != want {
		t.Fatalf("at first TCP comes from %q, want %q", got, want)
	}
	onHost(t, "ip", "link", "set", "host1", "down", "name", "host9")
	t.Cleanup(func() { onHost(t, "ip", "link", "set", "host9", "name", "host1") })
	hostAddress(t, "198.18.0.1/32", "lo") // somebody else has the address now
	wire := sniff(t, lab.Host, lab.HostLink, nil)
	if got := overTCP(g, o.tcp); got != "ENETUNREACH" {
		t.Errorf("TCP: %q, want ENETUNREACH", got)
	}
	if got := overUDP(t, g, o.udp); strings.Contains(got, "198.") {
		t.Errorf("UDP came from %s", got)
	}
	time.Sleep(100 * time.Millisecond)
	for _, proto := range []uint8{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
		if wire.from("198.18.0.1", proto) {
			t.Errorf("protocol %d left by another interface", proto)
		}
	}
}

// Connections from an --outbound-addr share ports, as others do: there may be
// more of them than the host has ports, if they lead to several servers. C
// binds, which takes a port for each.
func TestOutboundPorts(t *testing.T) {
	hostAddress(t, otherSource+"/24", lab.HostLink)
	const ports = 20
	hostSysctl(t, "net.ipv4.ip_local_port_range", fmt.Sprintf("40000 %d", 40000+ports-1))
	var servers []string
	for range 3 {
		addr, _ := accepting(t)
		servers = append(servers, addr.String())
	}
	g, _ := guestOf(t, "", lab.OrdinaryUID, "--outbound-addr="+otherSource)
	for i := range 2 * ports {
		c, err := g.Dial("tcp4", servers[i%len(servers)], commandTimeout)
		if err != nil {
			t.Fatalf("connection %d of %d, with %d ports: %v", i, 2*ports, ports, err)
		}
		defer c.Close()
	}
}
