package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// The source of a reply is the real peer; what is on the host's loopback is the
// gateway. C shows 127.0.0.1 for what was sent to 255.255.255.255, a martian that
// the guest's kernel drops.
func TestUDPReplySource(t *testing.T) {
	_, own := serveUDP(t, lab.Host, "198.51.100.1:0", func(string, netip.AddrPort) string { return "hi" })
	onBoth(t, nil, func(t *testing.T, g *lab.Guest, c bool) {
		for _, row := range []struct {
			dst  string
			from expectation
		}{
			{"198.51.100.2:7", both("hi from 198.51.100.2:7")},
			{own, both("hi from " + own)},
			{"10.0.2.2:7", both("hi from 10.0.2.2:7")},
			{"255.255.255.255:7", expectation{"hi from 10.0.2.2:7", ""}},
		} {
			s := newUDP(t, g)
			if err := s.send("hi", row.dst); err != nil {
				t.Fatal(err)
			}
			row.from.check(t, row.dst, s.receive(2*time.Second), c)
		}
	})
}

// One socket of the guest asks A, which answers late, and then B. Each answer
// comes from who sent it. C takes A's for B's when B is the nameserver: this
// is how musl's resolver asks 10.0.2.3 and another one at once.
func TestUDPLateReply(t *testing.T) {
	inetAddress(t, "198.51.100.3/24")
	_, late := serveUDP(t, lab.Inet, "198.51.100.3:5300", func(string, netip.AddrPort) string {
		time.Sleep(500 * time.Millisecond)
		return "late"
	})
	query := new(dns.Msg).SetQuestion(dns.Fqdn(lab.Domain), dns.TypeA)
	packed, err := query.Pack()
	if err != nil {
		t.Fatal(err)
	}
	onBoth(t, nil, func(t *testing.T, g *lab.Guest, c bool) {
		for _, b := range []struct {
			addr, payload string
			late          expectation
		}{
			{"198.51.100.2:7", "quick", both(late)},
			{"10.0.2.2:7", "quick", both(late)},
			{"10.0.2.3:53", string(packed), expectation{late, "10.0.2.3:5300"}},
		} {
			s := newUDP(t, g)
			if s.send("x", late) != nil || s.send(b.payload, b.addr) != nil {
				t.Fatal("send failed")
			}
			if _, from := s.receiveBytes(2 * time.Second); from != b.addr {
				t.Errorf("the quick answer comes from %q, want %q", from, b.addr)
			}
			payload, from := s.receiveBytes(2 * time.Second)
			if string(payload) != "late" {
				t.Errorf("the late answer is %q", payload)
			}
			b.late.check(t, "late answer after asking "+b.addr, from, c)
		}
	})
}

// Mapping and filtering are endpoint-independent (RFC 4787): all peers see one
// port, and who was never written to may write to it, as may a process on the
// host's loopback.
func TestUDPFullCone(t *testing.T) {
	inetAddress(t, "198.51.100.3/24")
	_, a := serveUDP(t, lab.Inet, "198.51.100.2:0", whoami)
	_, b := serveUDP(t, lab.Inet, "198.51.100.3:0", whoami)
	onBoth(t, nil, func(t *testing.T, g *lab.Guest, c bool) {
		s := newUDP(t, g)
		var mapped []string
		for _, dst := range []string{a, b, a} {
			s.send("who am I?", dst)
			payload, _ := s.receiveBytes(2 * time.Second)
			mapped = append(mapped, string(payload))
		}
		if mapped[0] == "" || mapped[1] != mapped[0] || mapped[2] != mapped[0] {
			t.Fatalf("the peers see %q, want one address", mapped)
		}
		third := newUDP(t, lab.Inet)
		third.bind("198.51.100.3:4000")
		third.send("surprise", mapped[0])
		both("surprise from 198.51.100.3:4000").check(t, "third party", s.receive(2*time.Second), c)

		local := newUDP(t, lab.Host)
		local.bind("127.0.0.7:4001")
		local.send("knock", "127.0.0.1:"+mapped[0][strings.LastIndex(mapped[0], ":")+1:])
		// C: the address as it is, which the guest's kernel takes for a
		// martian.
		expectation{"knock from 10.0.2.2:4001", ""}.check(t, "host's loopback", s.receive(time.Second), c)
		s.send("answer", a) // still the same mapping
		if payload, _ := s.receiveBytes(2 * time.Second); string(payload) != mapped[0] {
			t.Errorf("the mapping is now %q, was %q", payload, mapped[0])
		}
	})
}

// What the host's network says to a datagram. Each row is one of the matrix in
// docs/fidelity.md.
func TestUDPErrors(t *testing.T) {
	lab.Beyond(t, 1500)
	lab.Host.Sysctl(t, "net.ipv4.icmp_ratemask", "0")
	hostRoute(t, "unreachable", "192.0.2.1")
	hostRoute(t, "prohibit", "192.0.2.2")
	hostRoute(t, "throw", "192.0.2.3")
	hostFilter(t, "ip daddr 192.0.2.4 drop")
	onBoth(t, nil, func(t *testing.T, g *lab.Guest, c bool) {
		rows := []struct {
			event, dst string
			sees       expectation
		}{
			{"closed port of the host's loopback", "10.0.2.2:4444", expectation{"ECONNREFUSED 3/3 from 10.0.2.2", ""}},
			{"closed port of the host's address", "198.51.100.1:4444", both("ECONNREFUSED 3/3 from 198.51.100.1")},
			{"closed port of a peer", "198.51.100.2:4444", both("ECONNREFUSED 3/3 from 198.51.100.2")},
			{"closed port two hops away", "203.0.113.2:4444", both("ECONNREFUSED 3/3 from 203.0.113.2")},
			{"nobody at that address", "203.0.113.9:4444", both("EHOSTUNREACH 3/1 from 198.51.100.2")},
			{"nobody on the host's link", "198.51.100.77:4444", both("EHOSTUNREACH 3/1 from 198.51.100.1")},
			{"router without a route", "192.0.2.99:4444", both("ENETUNREACH 3/0 from 198.51.100.2")},
			{"host's route is unreachable", "192.0.2.1:4444", expectation{"EHOSTUNREACH 3/1 from 10.0.2.2", "ENETUNREACH 3/0 from 10.0.2.2"}},
			{"host's route is prohibit", "192.0.2.2:4444", expectation{"EHOSTUNREACH 3/13 from 10.0.2.2", "ENETUNREACH 3/0 from 10.0.2.2"}},
			{"host's firewall (EPERM)", "192.0.2.4:4444", expectation{"EHOSTUNREACH 3/13 from 10.0.2.2", "ENETUNREACH 3/0 from 10.0.2.2"}},
			{"host has no route", "192.0.2.3:4444", both("ENETUNREACH 3/0 from 10.0.2.2")},
			{"nameserver, not port 53", "10.0.2.3:4444", both("ENETUNREACH 3/0 from 10.0.2.2")},
		}
		var sockets []*udpSocket
		for _, row := range rows {
			s := newUDP(t, g)
			s.connect(row.dst)
			if err := s.send("anybody there?", ""); err != nil {
				t.Fatalf("%s: %v", row.event, err)
			}
			sockets = append(sockets, s)
		}
		silent := time.Now().Add(500 * time.Millisecond)
		for i, row := range rows {
			timeout := 6 * time.Second // ARP gives up after 3
			if c && row.sees.c == "" {
				timeout = time.Until(silent)
			}
			row.sees.check(t, row.event, sockets[i].fault(timeout), c)
		}
	})
}

// A program that knows nothing of error queues meets the error as the result of
// its next call.
func TestUDPErrorOfNextCall(t *testing.T) {
	g, _ := guestOf(t, "", lab.OrdinaryUID)
	for _, addr := range []string{"10.0.2.2:4444", "198.51.100.2:4444"} {
		s := newUDP(t, g)
		s.set(unix.IPPROTO_IP, unix.IP_RECVERR, 0)
		s.connect(addr)
		if !eventually(func() bool { return s.send("anybody there?", "") == unix.ECONNREFUSED }, false) {
			t.Errorf("%s: no ECONNREFUSED", addr)
		}
	}
}

// One socket writes to an open and to a closed port in turns. The error is told
// with the closed port's address, and no datagram to the open one is lost to
// it. C loses some, and calls the open port's network unreachable.
func TestUDPErrorNamesTheDestination(t *testing.T) {
	lab.Inet.Sysctl(t, "net.ipv4.icmp_ratemask", "0")
	g, _ := guestOf(t, "", lab.OrdinaryUID)
	s := newUDP(t, g)
	const rounds = 20
	for range rounds {
		s.send("closed", "198.51.100.2:4444")
		for s.send("open", "198.51.100.2:7") != nil { // the error of another datagram
		}
	}
	for i := range rounds {
		if got := s.receive(2 * time.Second); got != "open from 198.51.100.2:7" {
			t.Fatalf("answer %d of the open port is %q", i, got)
		}
	}
	for s.wait(unix.POLLERR, 0) {
		if got := s.fault(0); got != "ECONNREFUSED 3/3 from 198.51.100.2" {
			t.Errorf("error %q", got)
		}
	}
}

// Datagrams of every size pass both ways, in one piece and in fragments.
func TestUDPSizes(t *testing.T) {
	overMTUs(t, func(t *testing.T, g *lab.Guest) {
		for _, addr := range []string{"10.0.2.2:7", "198.51.100.2:7"} {
			for _, size := range []int{0, 1, 1472, 1473, 16000, 65507} {
				if err := udpEcho(g, addr, size); err != nil {
					t.Errorf("%d bytes to %s: %v", size, addr, err)
				}
			}
		}
	})
}

// The guest's program sends with "don't fragment" to a peer behind a narrow
// link. Its kernel learns the path's MTU from the router's message, as on the
// host. C clears the bit and never tells.
func TestUDPPathMTU(t *testing.T) {
	lab.Beyond(t, 1300)
	onBoth(t, nil, func(t *testing.T, g *lab.Guest, c bool) {
		s := newUDP(t, g)
		s.connect("203.0.113.2:7")
		s.set(unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO)
		if err := s.send(strings.Repeat("x", 1400), ""); err != nil {
			t.Fatal(err)
		}
		expectation{"EMSGSIZE 3/4 from 198.51.100.2", ""}.check(t, "1400 bytes over 1300", s.fault(time.Second), c)
		mtu, err := unix.GetsockoptInt(s.fd, unix.IPPROTO_IP, unix.IP_MTU)
		expectation{"1300, <nil>", "1500, <nil>"}.check(t, "IP_MTU", fmt.Sprintf("%d, %v", mtu, err), c)

		// What the guest fragments, arrives.
		s = newUDP(t, g)
		s.set(unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT)
		s.send(strings.Repeat("y", 1400), "203.0.113.2:7")
		if b, _ := s.receiveBytes(2 * time.Second); len(b) != 1400 {
			t.Errorf("%d bytes came back, want 1400", len(b))
		}
	})
}

// The guest's link takes 65520 bytes in one packet and the host's 1500: a
// datagram in between arrives, though the guest's kernel sets "don't fragment".
// The guest is told the MTU all the same.
func TestUDPLargerThanHostLink(t *testing.T) {
	g, _ := guestOf(t, "", lab.OrdinaryUID, "--mtu=65520")
	s := newUDP(t, g)
	s.connect("198.51.100.2:7")
	s.send(strings.Repeat("x", 9000), "")
	if b, _ := s.receiveBytes(2 * time.Second); len(b) != 9000 {
		t.Errorf("%d bytes came back, want 9000", len(b))
	}
	if mtu, err := unix.GetsockoptInt(s.fd, unix.IPPROTO_IP, unix.IP_MTU); mtu != 1500 {
		t.Errorf("IP_MTU %d, %v; want 1500", mtu, err)
	}
}

// Multicast leaves the host, with the TTL of 1 that it usually has, and is
// answered. C takes the TTL of 1 for one hop and drops it. Nothing comes in
// by a group that somebody else on the host has joined, but with C.
func TestUDPMulticast(t *testing.T) {
	const group = "239.1.2.3"
	join := func(ns namespace, link string, port int) *net.UDPConn {
		var conn *net.UDPConn
		if err := ns.Do(func() error {
			ifi, err := net.InterfaceByName(link)
			if err != nil {
				return err
			}
			conn, err = net.ListenMulticastUDP("udp4", ifi, &net.UDPAddr{IP: net.ParseIP(group), Port: port})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	listener := join(lab.Inet, lab.InetLink, 5353)
	join(lab.Host, lab.HostLink, 5353)
	go func() {
		b := make([]byte, 100)
		for {
			_, from, err := listener.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			// A reply to multicast has the sender's own address.
			listener.WriteToUDPAddrPort([]byte(from.String()), from)
		}
	}()
	hostCommand(t, "ip", "-n", "inet", "route", "add", "239.0.0.0/8", "dev", lab.InetLink)
	t.Cleanup(func() { hostCommand(t, "ip", "-n", "inet", "route", "del", "239.0.0.0/8", "dev", lab.InetLink) })
	onBoth(t, nil, func(t *testing.T, g *lab.Guest, c bool) {
		for _, row := range []struct {
			ttl   int
			works expectation
		}{{1, expectation{"true", "false"}}, {5, both("true")}} {
			s := newUDP(t, g)
			s.set(unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, row.ttl)
			if err := s.send("who is there?", group+":5353"); err != nil {
				t.Fatal(err)
			}
			payload, from := s.receiveBytes(time.Second)
			mapped, _ := netip.ParseAddrPort(string(payload))
			works := mapped.Addr() == lab.HostAddr4 && from == "198.51.100.2:5353"
			row.works.check(t, fmt.Sprintf("answer to TTL %d", row.ttl), fmt.Sprint(works), c)
			if !works {
				continue
			}
			sender := newUDP(t, lab.Inet)
			sender.bind("198.51.100.2:0")
			sender.send("uninvited", fmt.Sprintf("%s:%d", group, mapped.Port()))
			got := s.receive(500 * time.Millisecond)
			expectation{"", "uninvited from " + sender.name()}.check(t, "multicast from outside", got, c)
		}
	})
}

// hops are the addresses that a traceroute shows.
func hops(out string) []string {
	var list []string
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) >= 2 && f[0] == fmt.Sprint(len(list)+1) {
			list = append(list, f[1])
		}
	}
	return list
}

// The TTL is honoured: traceroute and mtr show the path.
func TestUDPTraceroute(t *testing.T) {
	lab.Beyond(t, 1500)
	want := []string{"10.0.2.2", "198.51.100.2", "203.0.113.2"}
	onBoth(t, nil, func(t *testing.T, g *lab.Guest, c bool) {
		for _, args := range [][]string{
			{"traceroute", "-n", "-q", "1", "-w", "3", "-m", "6", "203.0.113.2"},
			{"traceroute", "-U", "-p", "33434", "-n", "-q", "1", "-w", "3", "-m", "6", "203.0.113.2"},
		} {
			out, _ := guestOutput(t, g, args[0], args[1:]...)
			if got := hops(out); !slices.Equal(got, want) {
				t.Errorf("%v: hops %v, want %v\n%s", args, got, want, out)
			}
		}
		out, _ := guestOutput(t, g, "mtr", "--udp", "-n", "-4", "--csv", "-c", "2", "-i", "0.3", "203.0.113.2")
		for _, hop := range want {
			if !strings.Contains(out, ","+hop+",") {
				t.Errorf("mtr does not show %s:\n%s", hop, out)
			}
		}
	})
}

// The gateway itself is one hop away, not two.
func TestUDPTracerouteToGateway(t *testing.T) {
	onBoth(t, nil, func(t *testing.T, g *lab.Guest, c bool) {
		out, _ := guestOutput(t, g, "traceroute", "-n", "-q", "1", "-w", "1", "-m", "3", "10.0.2.2")
		// C: a router before itself, and then 127.0.0.1, a martian.
		expectation{"[10.0.2.2]", "[10.0.2.2 * *]"}.check(t, "hops", fmt.Sprint(hops(out)), c)
	})
}

func TestSocatAndDig(t *testing.T) {
	g, _ := guestOf(t, "", lab.OrdinaryUID)
	for _, addr := range []string{"198.51.100.2:7", "10.0.2.2:7"} {
		out := g.Run(t, commandTimeout, "sh", "-c", "printf hello-socat | socat -t 1 - UDP4:"+addr)
		if out != "hello-socat" {
			t.Errorf("socat to %s: %q", addr, out)
		}
	}
	for _, args := range [][]string{{"+notcp"}, {"+tcp"}} {
		args = append(args, "+short", "+tries=1", "@10.0.2.3", lab.Domain, "A")
		if out := g.Run(t, commandTimeout, "dig", args...); out != "198.51.100.2\n" {
			t.Errorf("dig %v: %q", args, out)
		}
	}
}

// hostFilter adds a rule to what the host sends, until the test's end.
func hostFilter(t *testing.T, rule string) {
	t.Helper()
	onHost(t, "nft", "add table inet test; add chain inet test out { type filter hook output priority 0; }; add rule inet test out "+rule)
	t.Cleanup(func() { onHost(t, "nft", "delete", "table", "inet", "test") })
}
