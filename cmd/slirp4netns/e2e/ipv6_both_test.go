package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// onBoth6 is onBoth with IPv6. The C program leaves addresses to the guest's
// kernel, which is waited for.
func onBoth6(t *testing.T, args []string, test func(t *testing.T, g *lab.Guest, c bool)) {
	onBoth(t, append([]string{"-6"}, args...), func(t *testing.T, g *lab.Guest, c bool) {
		if !eventually(func() bool {
			out, _ := guestOutput(t, g, "sh", "-c", "ip -6 -o addr show dev tap0 scope global -tentative; ip -6 route show default")
			return strings.Contains(out, " fd00::") && strings.Contains(out, "default via fe80::2 ")
		}, false) {
			t.Fatal("the guest has no address of IPv6")
		}
		test(t, g, c)
	})
}

// echo6 is what comes back from an echo server, or what the guest is told.
func echo6(t *testing.T, g *lab.Guest, to string, size int) string {
	t.Helper()
	s := newUDP6(t, g)
	s.connect(to)
	if err := s.send(strings.Repeat("x", size), ""); err != nil {
		return err.Error()
	}
	s.wait(unix.POLLIN|unix.POLLERR, 500*time.Millisecond)
	if b, _ := s.receiveBytes(0); b != nil {
		return fmt.Sprintf("%d bytes", len(b))
	}
	return s.fault(0)
}

// What the guest sees of IPv6, with ours and with C.
func TestIPv6OnBoth(t *testing.T) {
	lab.Beyond(t, narrow)
	lab.Host.Sysctl(t, "net.ipv6.icmp.ratelimit", "0")
	inet, beyond := lab.InetAddr6.String(), lab.BeyondAddr6.String()
	ping := func(t *testing.T, g *lab.Guest, args string) string {
		return pingSays(t, g, append([]string{"-6", "-W", "0.5"}, strings.Fields(args)...)...)
	}
	connect := func(_ *testing.T, g *lab.Guest, to string) string {
		c, err := g.Dial("tcp6", to, time.Second)
		if err != nil {
			if e := errno(err); e != 0 {
				return unix.ErrnoName(e)
			}
			return "nothing"
		}
		c.Close()
		return "connected"
	}
	udp := func(t *testing.T, g *lab.Guest, to string) string { return echo6(t, g, to, 100) }
	large := func(t *testing.T, g *lab.Guest, to string) string { return echo6(t, g, to, 9000) }
	trace := func(t *testing.T, g *lab.Guest, args string) string {
		out, _ := guestOutput(t, g, "traceroute", append([]string{"-6", "-n", "-w", "0.5", "-q", "1", "-m", "2"}, strings.Fields(args)...)...)
		return strings.Join(hops(out), " ")
	}
	dns := func(t *testing.T, g *lab.Guest, args string) string {
		out, _ := guestOutput(t, g, "dig", append([]string{"+short", "+tries=1", "+time=1"}, strings.Fields(args)...)...)
		return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(out), ";;"))
	}
	type row struct {
		what string
		do   func(*testing.T, *lab.Guest, string) string
		arg  string
		sees expectation
	}
	rows := []row{
		{"ping of the gateway", ping, gateway6, both("reply ttl=255")},
		{"ping of the name server", ping, nameserver6, both("reply ttl=255")},
		{"ping of the router", ping, router6 + "%tap0", both("reply ttl=255")},
		{"ping of a peer", ping, inet, expectation{"reply ttl=63", ""}},
		{"ping of a peer behind a router", ping, beyond, expectation{"reply ttl=62", ""}},
		{"ping that ends at a router", ping, "-t 2 " + beyond, expectation{inet + ": Time exceeded: Hop limit", ""}},
		{"large ping", ping, "-s 1400 " + beyond, expectation{inet + ": Packet too big: mtu=1300", ""}},
		{"TCP to the gateway", connect, "[" + gateway6 + "]:8000", both("connected")},
		{"TCP to a closed port of the gateway", connect, "[" + gateway6 + "]:8999", both("ECONNREFUSED")},
		{"TCP to a peer", connect, "[" + inet + "]:80", both("connected")},
		{"TCP to a closed port of a peer", connect, "[" + inet + "]:81", both("ECONNREFUSED")},
		{"TCP to what no router knows", connect, "[2001:db8:999::1]:80", expectation{"ENETUNREACH", "nothing"}},
		{"UDP to the gateway", udp, "[" + gateway6 + "]:7", both("100 bytes")},
		{"UDP to a peer", udp, "[" + inet + "]:7", both("100 bytes")},
		{"UDP to a closed port", udp, "[" + inet + "]:9999", both("ECONNREFUSED 1/4 from " + inet)},
		{"UDP in fragments", large, "[" + inet + "]:7", expectation{"9000 bytes", ""}},
		{"traceroute", trace, inet, expectation{gateway6 + " " + inet, router6 + "%tap0 " + inet}},
		{"traceroute -I", trace, "-I " + inet, expectation{gateway6 + " " + inet, "* *"}},
		{"DNS", dns, "@fd00::3 lab.test AAAA", both(inet)},
		{"DNS by TCP", dns, "@fd00::3 +tcp lab.test AAAA", both(inet)},
	}
	onBoth6(t, nil, func(t *testing.T, g *lab.Guest, c bool) {
		for _, r := range rows {
			r.sees.check(t, r.what, r.do(t, g, r.arg), c)
		}
		// An address of the prefix that is none of ours, past neighbour discovery.
		g.Run(t, commandTimeout, "ip", "neigh", "replace", "fd00::5", "lladdr", "52:56:00:00:00:02", "dev", "tap0")
		expectation{"ENETUNREACH", "connected"}.check(t, "TCP to an address of the prefix", connect(t, g, "[fd00::5]:8000"), c)
	})
}
