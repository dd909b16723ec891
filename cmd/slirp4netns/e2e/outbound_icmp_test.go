package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// pingSays pings once and returns what ping(8) says of it: "reply ttl=N",
// "ADDRESS: error", or "" for silence.
func pingSays(t *testing.T, g *lab.Guest, args ...string) string {
	t.Helper()
	out, _ := guestOutput(t, g, "ping", append([]string{"-n", "-c", "1"}, args...)...)
	if m := regexp.MustCompile(`bytes from (\S+): .*(ttl=\d+)`).FindStringSubmatch(out); m != nil {
		return "reply " + m[2]
	}
	if m := regexp.MustCompile(`(?m)^From (\S+) icmp_seq=1 (.*)$`).FindStringSubmatch(out); m != nil {
		return m[1] + ": " + m[2]
	}
	if !strings.Contains(out, "100% packet loss") {
		t.Errorf("ping %v: %s", args, out)
	}
	return ""
}

// What the network makes of an echo request. Each row is one of the matrix in
// docs/fidelity.md. C does not pass on errors and does not honour the TTL.
func TestPing(t *testing.T) {
	lab.Beyond(t, 1500)
	lab.Host.Sysctl(t, "net.ipv4.icmp_ratemask", "0")
	hostRoute(t, "unreachable", "192.0.2.1")
	hostRoute(t, "prohibit", "192.0.2.2")
	hostRoute(t, "throw", "192.0.2.3")
	hostRoute(t, "blackhole", "192.0.2.4")
	onBoth(t, nil, func(t *testing.T, g *lab.Guest, c bool) {
		for _, row := range []struct {
			event string
			args  string
			sees  expectation
		}{
			{"gateway", "10.0.2.2", both("reply ttl=255")},
			{"nameserver", "10.0.2.3", both("reply ttl=255")},
			{"gateway, one hop allowed", "-t 1 10.0.2.2", both("reply ttl=255")},
			{"gateway, in fragments", "-s 20000 10.0.2.2", both("reply ttl=255")},
			{"peer on the host's link", "198.51.100.2", expectation{"reply ttl=63", "reply ttl=255"}},
			{"peer two hops away", "203.0.113.2", expectation{"reply ttl=62", "reply ttl=255"}},
			{"host's own address", "198.51.100.1", expectation{"reply ttl=63", "reply ttl=255"}},
			{"in fragments", "-s 20000 203.0.113.2", expectation{"reply ttl=62", "reply ttl=255"}},
			{"TTL ends at the gateway", "-t 1 203.0.113.2", expectation{"10.0.2.2: Time to live exceeded", "reply ttl=255"}},
			{"TTL ends at a router", "-t 2 203.0.113.2", expectation{"198.51.100.2: Time to live exceeded", "reply ttl=255"}},
			{"router without a route", "-W 1 192.0.2.99", expectation{"198.51.100.2: Destination Net Unreachable", ""}},
			{"nobody on the host's link", "-W 5 198.51.100.77", expectation{"198.51.100.1: Destination Host Unreachable", ""}},
			{"host's route is unreachable", "192.0.2.1", expectation{"10.0.2.2: Destination Host Unreachable", "10.0.2.2: Destination Net Unreachable"}},
			{"host's route is prohibit", "192.0.2.2", expectation{"10.0.2.2: Packet filtered", "10.0.2.2: Destination Net Unreachable"}},
			{"host has no route", "192.0.2.3", both("10.0.2.2: Destination Net Unreachable")},
			{"broadcast", "-W 1 -b 255.255.255.255", expectation{"", "10.0.2.2: Destination Net Unreachable"}},
			{"multicast", "-W 1 224.0.0.1", both("")},
		} {
			got := pingSays(t, g, strings.Fields(row.args)...)
			row.sees.check(t, row.event, got, c)
		}
	})
}

// A dead address looks dead: nothing is answered in its name.
func TestPingDeadAddress(t *testing.T) {
	onBoth(t, nil, func(t *testing.T, g *lab.Guest, c bool) {
		out, status := guestOutput(t, g, "ping", "-n", "-c", "3", "-i", "0.2", "-W", "1", "203.0.113.7")
		if status != 1 || !strings.Contains(out, "3 packets transmitted, 0 received, 100% packet loss") {
			t.Errorf("exit status %d: %s", status, out)
		}
	})
}

// Every reply has the payload of its request: ping(8) checks it.
func TestPingPayload(t *testing.T) {
	g, _ := guestOf(t, "", lab.OrdinaryUID)
	for _, size := range []string{"0", "16", "1400", "1472", "1473", "40000"} {
		out := g.Run(t, commandTimeout, "ping", "-n", "-c", "3", "-i", "0.05", "-p", "a5c3", "-s", size, "198.51.100.2")
		if !strings.Contains(out, "3 received, 0% packet loss") || strings.Contains(out, "wrong data") || strings.Contains(out, "DUP!") {
			t.Errorf("%s bytes: %s", size, out)
		}
	}
}

// icmpSocket is a raw socket for ICMP in a namespace.
func icmpSocket(t *testing.T, ns namespace) *udpSocket {
	t.Helper()
	s := &udpSocket{t: t}
	if err := ns.Do(func() (err error) {
		s.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(s.fd) })
	s.set(unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
	return s
}

// icmpMessage builds a message of ICMP with its checksum.
func icmpMessage(kind, code uint8, id, seq uint16, payload string) []byte {
	b := make([]byte, 8, 8+len(payload))
	b[0], b[1] = kind, code
	binary.BigEndian.PutUint16(b[4:], id)
	binary.BigEndian.PutUint16(b[6:], seq)
	b = append(b, payload...)
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		word := uint32(b[i]) << 8
		if i+1 < len(b) {
			word |= uint32(b[i+1])
		}
		sum += word
	}
	sum = sum&0xffff + sum>>16
	binary.BigEndian.PutUint16(b[2:], ^uint16(sum+sum>>16))
	return b
}

// receiveICMP returns the next message of a type other than those of skip,
// without its IP header and checksum, and where it comes from.
func receiveICMP(s *udpSocket, timeout time.Duration, skip ...uint8) (message []byte, from string) {
	for end := time.Now().Add(timeout); ; {
		b, addr := s.receiveBytes(time.Until(end))
		if b == nil {
			return nil, ""
		}
		b = b[int(b[0]&15)*4:]
		if !slices.Contains(skip, b[0]) {
			b[2], b[3] = 0, 0
			return b, strings.TrimSuffix(addr, ":0")
		}
	}
}

// Identifier, sequence number and payload come back as they were sent, though
// the host's kernel gives its sockets identifiers of its own. Two identifiers
// are two flows.
func TestPingIdentifier(t *testing.T) {
	for _, uid := range []int{lab.OrdinaryUID, 0} {
		t.Run(fmt.Sprintf("uid=%d", uid), func(t *testing.T) {
			if uid == 0 && !lab.Locked() { // which has no raw sockets: TestPingRaw
				lab.Host.Sysctl(t, "net.ipv4.ping_group_range", "1 0") // raw sockets
			}
			g, _ := guestOf(t, "", uid)
			s := icmpSocket(t, g)
			for i, id := range []uint16{0, 1, 0x1234, 0xffff, 0x1234} {
				payload := fmt.Sprintf("payload %d, of an odd size%d", i, i)
				message := icmpMessage(8, 0, id, uint16(i), payload)
				if err := s.send(string(message), "198.51.100.2:0"); err != nil {
					t.Fatal(err)
				}
				got, from := receiveICMP(s, 2*time.Second, 8)
				want := slices.Clone(message)
				want[0], want[2], want[3] = 0, 0, 0
				if from != "198.51.100.2" || !bytes.Equal(got, want) {
					t.Errorf("id %#x: % x from %s, want % x", id, got, from, want)
				}
			}
			if got, from := receiveICMP(s, 300*time.Millisecond, 8); got != nil {
				t.Errorf("one reply too many: % x from %s", got, from)
			}
		})
	}
}

// "Don't fragment" is honoured, and the guest learns the MTU: first from the
// router, then from the host, and then its own kernel knows. C clears the bit.
func TestPingPathMTU(t *testing.T) {
	lab.Beyond(t, 1300)
	onBoth(t, nil, func(t *testing.T, g *lab.Guest, c bool) {
		got := pingSays(t, g, "-M", "do", "-s", "1400", "203.0.113.2")
		expectation{"198.51.100.2: Frag needed and DF set (mtu = 1300)", "reply ttl=255"}.check(t, "too large", got, c)
		out, _ := guestOutput(t, g, "ping", "-n", "-c", "2", "-i", "0.1", "-W", "1", "-M", "do", "-s", "1400", "203.0.113.2")
		if told := strings.Contains(out, "message too long, mtu=1300"); told == c {
			t.Errorf("the guest's kernel knows the MTU: %v\n%s", told, out)
		}
		if got := pingSays(t, g, "-M", "do", "-s", "1272", "203.0.113.2"); !strings.HasPrefix(got, "reply") {
			t.Errorf("1300 bytes do not pass: %q", got)
		}
		if got := pingSays(t, g, "-M", "dont", "-s", "1400", "203.0.113.2"); !strings.HasPrefix(got, "reply") {
			t.Errorf("1428 bytes in fragments do not pass: %q", got)
		}
	})
	// Another guest is told by the host itself, which remembers.
	g, _ := guestOf(t, "", lab.OrdinaryUID)
	if got, want := pingSays(t, g, "-M", "do", "-s", "1400", "203.0.113.2"), "10.0.2.2: Frag needed and DF set (mtu = 1300)"; got != want {
		t.Errorf("another guest sees %q, want %q", got, want)
	}
}

// C shows the target as the first hop.
func TestPingTraceroute(t *testing.T) {
	lab.Beyond(t, 1500)
	want := []string{"10.0.2.2", "198.51.100.2", "203.0.113.2"}
	onBoth(t, nil, func(t *testing.T, g *lab.Guest, c bool) {
		out, _ := guestOutput(t, g, "traceroute", "-I", "-n", "-q", "1", "-w", "3", "-m", "6", "203.0.113.2")
		expectation{fmt.Sprint(want), "[203.0.113.2]"}.check(t, "traceroute -I", fmt.Sprint(hops(out)), c)
		if c {
			return
		}
		out, _ = guestOutput(t, g, "mtr", "-n", "-4", "--csv", "-c", "2", "-i", "0.3", "203.0.113.2")
		for _, hop := range want {
			if !strings.Contains(out, ","+hop+",") {
				t.Errorf("mtr does not show %s:\n%s", hop, out)
			}
		}
	})
}

// Without permission for ping sockets the guest is told so, whatever it pings,
// and nothing leaves the host. C sends a UDP datagram to port 7 in place of the
// request: the guest sees what that port's host makes of it.
func TestPingNotPermitted(t *testing.T) {
	lab.Host.Sysctl(t, "net.ipv4.ping_group_range", "1 0")
	inetAddress(t, "198.51.100.3/24") // where nobody listens on port 7
	wire := sniff(t, lab.Inet, lab.InetLink, nil)
	onBoth(t, nil, func(t *testing.T, g *lab.Guest, c bool) {
		const filtered = "10.0.2.2: Packet filtered"
		expectation{filtered, "198.51.100.3: Destination Port Unreachable"}.check(t, "live peer", pingSays(t, g, "-W", "1", "198.51.100.3"), c)
		expectation{filtered, ""}.check(t, "dead peer", pingSays(t, g, "-W", "1", "203.0.113.7"), c)
		both("reply ttl=255").check(t, "gateway", pingSays(t, g, "10.0.2.2"), c)
		if sent := eventually(func() bool { return wire.from("198.51.100.1", unix.IPPROTO_UDP) }, !c); sent != c {
			t.Errorf("a datagram has left the host: %v, want %v", sent, c)
		}
	})
}

// Root needs no permission: raw sockets do the same. They also hear what is
// not the guest's, which it never sees.
func TestPingRaw(t *testing.T) {
	lab.Host.Sysctl(t, "net.ipv4.ping_group_range", "1 0")
	lab.Beyond(t, 1300)
	lab.Host.Sysctl(t, "net.ipv4.icmp_ratemask", "0")
	// Somebody on the host pings all the time, and gets errors as well.
	for _, args := range []string{"198.51.100.2", "-t 1 203.0.113.2"} {
		ctx, cancel := context.WithCancel(context.Background())
		noise := lab.Command(ctx, 0, "ping", append([]string{"-n", "-q", "-i", "0.02"}, strings.Fields(args)...)...)
		if err := noise.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cancel(); noise.Wait() })
	}
	g, _ := guestOf(t, "", 0)
	if lab.Locked() {
		// CAP_NET_RAW is given up: the guest is told that it may not.
		if got, want := pingSays(t, g, "198.51.100.2"), "10.0.2.2: Packet filtered"; got != want {
			t.Errorf("locked: the guest sees %q, want %q", got, want)
		}
		return
	}
	for _, row := range []struct{ args, want string }{
		{"198.51.100.2", "reply ttl=63"},
		{"-s 20000 203.0.113.2", "reply ttl=62"},
		{"-t 2 203.0.113.2", "198.51.100.2: Time to live exceeded"},
		{"-W 1 192.0.2.99", "198.51.100.2: Destination Net Unreachable"},
		{"-M do -s 1400 203.0.113.2", "198.51.100.2: Frag needed and DF set (mtu = 1300)"},
	} {
		if got := pingSays(t, g, strings.Fields(row.args)...); got != row.want {
			t.Errorf("ping %s: the guest sees %q, want %q", row.args, got, row.want)
		}
	}
	out := g.Run(t, commandTimeout, "ping", "-n", "-c", "20", "-i", "0.02", "-p", "a5c3", "198.51.100.2")
	if !strings.Contains(out, "20 received, 0% packet loss") || strings.Contains(out, "DUP!") || strings.Contains(out, "wrong data") {
		t.Errorf("%s", out)
	}
	// Nothing but its own replies has come to the guest.
	s := icmpSocket(t, g)
	if got, from := receiveICMP(s, 500*time.Millisecond); got != nil {
		t.Errorf("the guest received % x from %s", got, from)
	}
}

// TestPingRawFiltered is root's ping with the filter and without the sandbox:
// CAP_NET_RAW is still there, and raw sockets are allowed their filter.
func TestPingRawFiltered(t *testing.T) {
	lab.Host.Sysctl(t, "net.ipv4.ping_group_range", "1 0")
	g := lab.NewGuest(t, lab.GuestOptions{Root: true, Kind: lab.NoUserNS})
	g.Slirp(t, "-c", "--enable-seccomp")
	want := "reply ttl=63"
	if lab.Locked() {
		want = "10.0.2.2: Packet filtered"
	}
	if got := pingSays(t, g, "198.51.100.2"); got != want {
		t.Errorf("the guest sees %q, want %q", got, want)
	}
}

// Only echo requests go anywhere: errors, replies and other queries of the
// guest do not leave it, nor do they get an answer.
func TestICMPOtherTypes(t *testing.T) {
	onBoth(t, nil, func(t *testing.T, g *lab.Guest, c bool) {
		outside, s := icmpSocket(t, lab.Inet), icmpSocket(t, g)
		s.bind("10.0.2.100:0") // not the guest's own broadcasts
		quote := string(make([]byte, 28))
		for _, dst := range []string{"198.51.100.2:0", "10.0.2.2:0", "10.0.2.3:0", "255.255.255.255:0"} {
			for _, kind := range []uint8{0, 3, 4, 5, 9, 10, 11, 12, 13, 15, 17} {
				if err := s.send(string(icmpMessage(kind, 0, 1, 1, quote)), dst); err != nil {
					t.Fatalf("type %d to %s: %v", kind, dst, err)
				}
			}
		}
		if got, from := receiveICMP(s, 500*time.Millisecond); got != nil {
			t.Errorf("the guest received % x from %s", got, from)
		}
		if got, from := receiveICMP(outside, 100*time.Millisecond); got != nil {
			t.Errorf("inet received % x from %s", got, netip.MustParseAddr(from))
		}
	})
}
