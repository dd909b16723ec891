package e2e

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// hostAddress6 is hostAddress with an address that the kernel would not choose
// (RFC 6724, section 5, rule 3).
func hostAddress6(t *testing.T, addr, dev string) {
	t.Helper()
	hostAddress(t, addr, dev)
	onHost(t, "ip", "addr", "change", addr, "dev", dev, "preferred_lft", "0")
}

// --outbound-addr6 is the source of what the servers see, by TCP, UDP and ping.
// A link-local one is given as the manual gives it, without its interface.
func TestIPv6OutboundAddr(t *testing.T) {
	o := observe(t, lab.Inet, lab.InetAddr6.String(), lab.InetLink)
	for _, other := range []string{"2001:db8:100::9", "fe80::9"} {
		t.Run(other, func(t *testing.T) {
			hostAddress6(t, other+"/64", lab.HostLink)
			g, _ := configured6(t, "--outbound-addr6="+other)
			if got, want := o.sources(t, g), strings.Join([]string{other, other, other}, " "); got != want {
				t.Errorf("sources %q, want %q", got, want)
			}
			if got := pingSays(t, g, "-6", gateway6); !strings.HasPrefix(got, "reply") {
				t.Errorf("ping of the gateway: %q", got)
			}
			if got := curl(t, g, "-g", "http://["+gateway6+"]:8000/client"); !strings.HasPrefix(got, "[::1]:") {
				t.Errorf("the host's loopback sees %q", got)
			}
		})
	}
}

// An address that the host loses: the guest is told at once, by each protocol,
// and nothing leaves from another address. When it is back, all works again.
func TestIPv6OutboundAddrLost(t *testing.T) {
	o := observe(t, lab.Inet, lab.InetAddr6.String(), lab.InetLink)
	addrs := []string{"2001:db8:100::9", "fe80::9"}
	for _, other := range addrs {
		t.Run(other, func(t *testing.T) {
			hostAddress6(t, other+"/64", lab.HostLink)
			g, _ := configured6(t, "--outbound-addr6="+other)
			works := strings.Join([]string{other, other, other}, " ")
			if got := o.sources(t, g); got != works {
				t.Fatalf("sources %q, want %q", got, works)
			}
			// One identifier before and after.
			ping := g.Command(t.Context(), "ping", "-6", "-n", "-i", "0.05", o.addr.String())
			var said lab.Log
			ping.Stdout, ping.Stderr = &said, &said
			if err := ping.Start(); err != nil {
				t.Fatal(err)
			}
			says := func(what, text string) {
				t.Helper()
				before := strings.Count(said.String(), text)
				if !eventually(func() bool { return strings.Count(said.String(), text) > before }, false) {
					t.Errorf("%s ping says %q", what, said.String())
				}
			}
			says("at first", "bytes from ")
			onHost(t, "ip", "addr", "del", other+"/64", "dev", lab.HostLink)
			const lost = "ENETUNREACH ENETUNREACH 1/0 from fd00::2 fd00::2: Destination unreachable: No route"
			if got := o.sources(t, g); got != lost {
				t.Errorf("without the address: %q, want %q", got, lost)
			}
			says("without the address", "From fd00::2 icmp_seq=")
			onHost(t, "ip", "addr", "add", other+"/64", "dev", lab.HostLink, "nodad", "preferred_lft", "0")
			if got := o.sources(t, g); got != works {
				t.Errorf("with the address again: %q, want %q", got, works)
			}
			says("with the address again", "bytes from ")
			ping.Process.Kill()
			ping.Wait()
			for _, from := range o.pings() {
				if !slices.Contains(addrs, from.String()) {
					t.Errorf("a ping came from %v", from)
				}
			}
		})
	}
}

// A link-local source reaches the link. A router does not pass it on, and says
// so (RFC 4443, section 3.1, code 2), which the guest is told. Nor does it
// leave by another link, where its answers would not come back.
func TestIPv6OutboundAddrScope(t *testing.T) {
	beyond := lab.Beyond(t, 1500)
	secondLink6(t)
	onHost(t, "ip", "-6", "addr", "add", "2001:db8:101::1/64", "dev", "host1", "nodad")
	hostAddress6(t, "fe80::9/64", lab.HostLink)
	g, _ := configured6(t, "--outbound-addr6=fe80::9")
	o := observe(t, beyond, lab.BeyondAddr6.String(), "beyond0")
	// The router's address on the link is link-local, which the guest's
	// gateway stands for.
	const scope = "EHOSTUNREACH EHOSTUNREACH 1/2 from fd00::2 fd00::2: Destination unreachable: Beyond scope of source address"
	if got := o.sources(t, g); got != scope {
		t.Errorf("beyond the router: %q, want %q", got, scope)
	}
	// Of the two ways to the other link's address the host prefers that link.
	other := observe(t, lab.Inet, "2001:db8:101::2", lab.InetLink)
	elsewhere := sniff(t, lab.Inet, "inet1", nil)
	awaitSources(t, other, g, "fe80::9")
	onHost(t, "ip", "-6", "route", "del", "default")
	t.Cleanup(func() { onHost(t, "ip", "-6", "route", "add", "default", "via", lab.InetAddr6.String()) })
	const none = "ENETUNREACH ENETUNREACH 1/0 from fd00::2 fd00::2: Destination unreachable: No route"
	if got := other.sources(t, g); got != none {
		t.Errorf("without a way on the link: %q, want %q", got, none)
	}
	for _, p := range elsewhere.all6() {
		if netip.AddrFrom16([16]byte(p[8:24])) == netip.MustParseAddr("fe80::9") {
			t.Errorf("left by the other link: % x", p)
		}
	}
}

// --outbound-addr6=INTERFACE is the address that the interface has now, and
// leads there though the host's routes prefer another one.
func TestIPv6OutboundInterface(t *testing.T) {
	secondLink6(t)
	onHost(t, "ip", "-6", "addr", "add", "2001:db8:101::1/64", "dev", "host1", "nodad")
	onHost(t, "ip", "-6", "route", "add", "default", "via", "2001:db8:101::2", "dev", "host1", "metric", "10000")
	g, _ := configured6(t, "--outbound-addr6=host1")
	o := observe(t, lab.Inet, lab.InetAddr6.String(), "inet1")
	awaitSources(t, o, g, "2001:db8:101::1")
	loopbackAlso(t, g)
	onHost(t, "ip", "-6", "addr", "add", "2001:db8:101::7/64", "dev", "host1", "nodad")
	onHost(t, "ip", "-6", "addr", "del", "2001:db8:101::1/64", "dev", "host1")
	awaitSources(t, o, g, "2001:db8:101::7")
}

// An interface that has no other address than a link-local one leads to its
// link. An address that comes later, as it does from a router, is better.
func TestIPv6OutboundInterfaceLinkLocal(t *testing.T) {
	secondLink6(t)
	onHost(t, "ip", "-6", "addr", "add", "fe80::b/64", "dev", "host1", "nodad")
	onHost(t, "ip", "-6", "route", "add", "2001:db8:101::/64", "dev", "host1")
	g, _ := configured6(t, "--outbound-addr6=host1")
	o := observe(t, lab.Inet, "2001:db8:101::2", "inet1")
	awaitSources(t, o, g, "fe80::b")
	onHost(t, "ip", "-6", "addr", "add", "fe80::c/64", "dev", "host1", "nodad")
	onHost(t, "ip", "-6", "addr", "del", "fe80::b/64", "dev", "host1")
	awaitSources(t, o, g, "fe80::c")
	onHost(t, "ip", "-6", "addr", "add", "2001:db8:101::1/64", "dev", "host1", "nodad")
	awaitSources(t, o, g, "2001:db8:101::1")
}

// loopbackAlso sends from one port to the host's loopback, by the gateway, and
// to inet, and has both answers.
func loopbackAlso(t *testing.T, g *lab.Guest) {
	t.Helper()
	s := newUDP6(t, g)
	for _, to := range []string{"[fd00::2]:7", netip.AddrPortFrom(lab.InetAddr6, lab.EchoPort).String(), "[fd00::2]:7"} {
		if err := s.send("hi", to); err != nil {
			t.Errorf("%s: %v", to, err)
		}
		if got, want := s.receive(time.Second), "hi from "+to; got != want {
			t.Errorf("%s: %q, want %q", to, got, want)
		}
	}
}

// awaitSources waits until all protocols come from addr.
func awaitSources(t *testing.T, o *observer, g *lab.Guest, addr string) {
	t.Helper()
	want := strings.Join([]string{addr, addr, addr}, " ")
	var got string
	if !eventually(func() bool { got = o.sources(t, g); return got == want }, false) {
		t.Errorf("sources %q, want %q", got, want)
	}
}

// secondLink6 is secondLink with an address of IPv6 on inet's side, and none of
// the kernel's own on the host's.
func secondLink6(t *testing.T) {
	t.Helper()
	secondLink(t)
	onHost(t, "ip", "link", "set", "host1", "addrgenmode", "none")
	onHost(t, "ip", "-6", "addr", "flush", "dev", "host1")
	onHost(t, "ip", "-n", "inet", "-6", "addr", "add", "2001:db8:101::2/64", "dev", "inet1", "nodad")
}

// An address that is not the host's: we say so and do not start.
func TestIPv6OutboundAddrNotOurs(t *testing.T) {
	lab.RequireBinary(t)
	for _, addr := range []string{"2001:db8:100::99", "fe80::99"} {
		g := lab.NewGuest(t, lab.GuestOptions{})
		out, status := runToEnd(t, lab.OrdinaryUID, lab.Binary, "-c", "-6", "--outbound-addr6="+addr, strconv.Itoa(g.PID), "tap0")
		if want := "outbound address " + addr + " is not an address of this host"; status != 1 || !strings.Contains(out, want) {
			t.Errorf("status %d, %q, want %q", status, out, want)
		}
	}
}
