package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// What the guest sends from a port that is forwarded leaves by the host's port,
// so that the peer can answer there and find the guest there later.
func TestHostfwdUDPLeaves(t *testing.T) {
	_, inet := serveUDP(t, lab.Inet, "198.51.100.2:0", whoami)
	_, lo := serveUDP(t, lab.Host, "127.0.0.1:0", whoami)
	lo = strings.Replace(lo, "127.0.0.1", "10.0.2.2", 1)
	const another = "another port"
	controlledByBoth(t, nil, func(t *testing.T, g *lab.Guest, path string, c bool) {
		forward(t, path, "udp", "0.0.0.0", 28053, 53)
		id, _ := forward(t, path, "udp", "127.0.0.1", 28054, 54)
		rows := []struct {
			port int
			to   string
			seen expectation
		}{
			{53, inet, both("198.51.100.1:28053 from " + inet)},
			{53, lo, both("127.0.0.1:28053 from " + lo)},
			{54, lo, both("127.0.0.1:28054 from " + lo)},
			// No packet from 127.0.0.1 gets there. C says that the network is
			// unreachable, ours takes another port.
			{54, inet, expectation{another, ""}},
			{55, inet, both(another)},
		}
		check := func(port int, to string, seen expectation) {
			t.Helper()
			t.Run(fmt.Sprintf("%d to %s", port, to), func(t *testing.T) {
				s := newUDP(t, g)
				s.bind(fmt.Sprintf("10.0.2.100:%d", port))
				if err := s.send("who am I?", to); err != nil {
					t.Fatal(err)
				}
				wait := 2 * time.Second
				if c && seen.c == "" {
					wait = 200 * time.Millisecond
				}
				got := s.receive(wait)
				if got != "" && !strings.Contains(got, ":2805") {
					got = another
				}
				seen.check(t, "the peer's answer", got, c)
			})
		}
		for _, r := range rows {
			check(r.port, r.to, r.seen)
		}
		if !c { // it takes a while to let go of the port
			askAPI(t, path, fmt.Sprintf(`{"execute":"remove_hostfwd","arguments":{"id":%d}}`, id))
			check(54, lo, expectation{ours: another})
		}
	})
}

// The forwarded port's datagrams leave from --outbound-addr, unless the forward
// itself names an address, and still by the forwarded port.
func TestHostfwdUDPLeavesFromOutboundAddr(t *testing.T) {
	hostCommand(t, "ip", "addr", "add", "198.51.100.9/32", "dev", lab.HostLink)
	t.Cleanup(func() { hostCommand(t, "ip", "addr", "del", "198.51.100.9/32", "dev", lab.HostLink) })
	_, inet := serveUDP(t, lab.Inet, "198.51.100.2:0", whoami)
	g, _, path := controlled(t, "--outbound-addr=198.51.100.9")
	for i, row := range []struct{ listen, want string }{
		{"0.0.0.0", "198.51.100.9"},
		{"::", "198.51.100.9"},
		{"198.51.100.1", "198.51.100.1"},
	} {
		_, port := forward(t, path, "udp", row.listen, 0, 50+i)
		s := newUDP(t, g)
		s.bind(fmt.Sprintf("10.0.2.100:%d", 50+i))
		if err := s.send("who am I?", inet); err != nil {
			t.Fatal(err)
		}
		if got, want := s.receive(2*time.Second), fmt.Sprintf("%s:%d from %s", row.want, port, inet); got != want {
			t.Errorf("forward of %s: %q, want %q", row.listen, got, want)
		}
	}
}

// Datagrams of all sizes, each way, whole or in fragments.
func TestHostfwdUDPSizes(t *testing.T) {
	for _, mtu := range mtus {
		g, _, path := controlled(t, fmt.Sprintf("--mtu=%d", mtu))
		serveUDP(t, g, "0.0.0.0:7", func(payload string, _ netip.AddrPort) string { return payload })
		_, port := forward(t, path, "udp", "127.0.0.1", 0, 7)
		c, err := client{to: "127.0.0.1"}.dial("udp", port)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, size := range []int{2, 1000, 1472, 1473, 2953, 9000, 65507} {
			if err := exchangeUDP(c, "0 "+strings.Repeat("x", size-2)); err != nil {
				t.Errorf("mtu %d: %v", mtu, err)
			}
		}
	}
}

// Each client has its answers and nobody else's.
func TestHostfwdUDPClients(t *testing.T) {
	const clients, each = 64, 20
	g, _, path := controlled(t)
	serveUDP(t, g, "0.0.0.0:7", func(payload string, _ netip.AddrPort) string { return payload })
	_, port := forward(t, path, "udp", "0.0.0.0", 0, 7)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			c, err := client{to: "198.51.100.1"}.dial("udp", port)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for j := range each {
				if err := exchangeUDP(c, fmt.Sprintf("%d %d %s", i, j, strings.Repeat("x", j*i))); err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// exchangeUDP sends a payload, whose first word names the client, and wants it
// back. It tries again, since datagrams may be lost where buffers are full.
func exchangeUDP(c net.Conn, payload string) error {
	b := make([]byte, 1<<16)
	for range 50 {
		if _, err := c.Write([]byte(payload)); err != nil {
			return err
		}
		c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		for {
			n, err := c.Read(b)
			if err != nil {
				break
			}
			switch got := string(b[:n]); {
			case got == payload:
				return nil
			case strings.Fields(got)[0] != strings.Fields(payload)[0]:
				return fmt.Errorf("the answer of another: %.20q, want %.20q", got, payload)
			}
		}
	}
	return fmt.Errorf("no answer to %.20q, %d bytes", payload, len(payload))
}

// A guest whose kernel leaves it to us to cut up what it sends (UDP_SEGMENT,
// udp(7)) is understood.
func TestHostfwdUDPSegments(t *testing.T) {
	g, _, path := controlled(t)
	_, port := forward(t, path, "udp", "127.0.0.1", 0, 7)
	server := newUDP(t, g)
	server.bind("10.0.2.100:7")
	server.set(unix.IPPROTO_UDP, unix.UDP_SEGMENT, 1000)
	c, err := client{to: "127.0.0.1"}.dial("udp", port)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("all, please")); err != nil {
		t.Fatal(err)
	}
	_, from := server.receiveBytes(commandTimeout)
	var sent strings.Builder
	for i := range 10 {
		sent.WriteString(strings.Repeat(fmt.Sprint(i), 1000))
	}
	sent.WriteString("end")
	if err := server.send(sent.String(), from); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	b := make([]byte, 1<<16)
	for !strings.HasSuffix(got.String(), "end") {
		n, err := c.Read(b)
		if err != nil {
			t.Fatalf("after %d bytes: %v", got.Len(), err)
		}
		if n != 1000 && n != 3 {
			t.Errorf("a datagram of %d bytes", n)
		}
		got.Write(b[:n])
	}
	if got.String() != sent.String() {
		t.Errorf("%d bytes came, not those that were sent", got.Len())
	}
}

// The guest reaches its own forwarded ports through the gateway and through the
// host's address, as its clients do.
func TestHostfwdFromTheGuestItself(t *testing.T) {
	g, _, path := controlled(t)
	serveTCP(t, g, "0.0.0.0:80", tellPeer)
	serveUDP(t, g, "0.0.0.0:80", whoami)
	for _, network := range []string{"tcp", "udp"} {
		_, port := forward(t, path, network, "0.0.0.0", 0, 80)
		for _, at := range []string{"10.0.2.2", "198.51.100.1"} {
			c, err := g.Dial(network, fmt.Sprintf("%s:%d", at, port), commandTimeout)
			if err != nil {
				t.Fatal(err)
			}
			c.SetDeadline(time.Now().Add(commandTimeout))
			if network == "udp" {
				c.Write([]byte("who am I?"))
			}
			b := make([]byte, 100)
			n, err := c.Read(b)
			if got := string(b[:n]); err != nil || !strings.HasPrefix(got, at+":") {
				t.Errorf("%s through %s: seen as %q, %v; want %s", network, at, got, err, at)
			}
			c.Close()
		}
	}
}
