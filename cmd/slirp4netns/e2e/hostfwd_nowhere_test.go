package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slirp4netns-go/slirp4netns/parent/api"
)

// nobodies are addresses that no guest answers at, in every way that an address
// may be wrong. Forwards may lead there, as with the C program.
var nobodies = []string{
	"10.0.2.77", "10.0.2.255", "10.0.2.2", "10.0.2.3", "127.0.0.1", "0.0.0.1", "255.255.255.255", "224.0.0.1", "240.0.0.1", "192.0.2.1",
	"::", "::1", "ff02::1", "fe80::2", "fe80::77", "fd00::2", "fd00::3", "fd00::77", "2001:db8::1",
}

// Forwards to where nobody is disturb nothing: their clients wait, and are cut
// with them. Nothing of them is left.
func TestHostfwdToNobody(t *testing.T) {
	t.Parallel()
	g, s, path := controlled(t, "--enable-ipv6")
	serveTCP(t, g, "0.0.0.0:80", tellPeer)
	_, live := forward(t, path, "tcp", "127.0.0.1", 0, 80)
	before := fds(t, s.Process.Pid)

	var ids []int
	var waiting []*net.TCPConn
	for _, guest := range nobodies {
		id, port := forwardTo(t, path, "tcp", "127.0.0.1", 0, guest, 80)
		waiting = append(waiting, dialHost(t, port))
		ids = append(ids, id)
		id, port = forwardTo(t, path, "udp", "127.0.0.1", 0, guest, 80)
		u, err := client{to: "127.0.0.1"}.dial("udp4", port)
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		fmt.Fprint(u, "is anybody there?")
		ids = append(ids, id)
	}
	fwd := func() api.Hostfwd { return asked[api.Stats](t, path, "query_stats").Hostfwd }
	if !eventually(func() bool { f := fwd(); return f.TCP.Open == len(nobodies) && f.UDP.Open == len(nobodies) }, false) {
		t.Errorf("%+v, want %d clients each way", fwd(), len(nobodies))
	}
	c := dialHost(t, live)
	if got, err := readAll(c); err != nil || got == "" {
		t.Errorf("a forward that leads somewhere: %q, %v", got, err)
	}
	c.Close()
	for _, id := range ids {
		if got := askAPI(t, path, fmt.Sprintf(`{"execute":"remove_hostfwd","arguments":{"id":%d,"drain":false}}`, id)); got != `{"return":{}}` {
			t.Errorf("remove %d: %s", id, got)
		}
	}
	for i, c := range waiting {
		t.Run(nobodies[i], func(t *testing.T) { awaitReset(t, c, commandTimeout) })
	}
	if !eventually(func() bool { f := fwd(); return f.TCP.Open+f.UDP.Open == 0 && fds(t, s.Process.Pid) == before }, false) {
		t.Errorf("%+v, and %d descriptors; there were %d", fwd(), fds(t, s.Process.Pid), before)
	}
}

// As many clients as may be of a forward that leads nowhere do not keep out those
// of another one, nor do those that come all at once: they wait for their turn.
func TestHostfwdFewDescriptors(t *testing.T) {
	t.Parallel()
	g, _, path := controlledBy(t, limited(t, ""))
	_, nobody := forwardTo(t, path, "tcp", "127.0.0.1", 0, "10.0.2.77", 80)
	_, live := forward(t, path, "tcp", "127.0.0.1", 0, 80)
	serveTCP(t, g, "0.0.0.0:80", func(c *net.TCPConn) { io.Copy(c, c) })
	open := func() int { return asked[api.Stats](t, path, "query_stats").Hostfwd.TCP.Open }
	const most = (fewDescriptors - 48) / 4 // as dataplane shares them out
	for range 2 * most {
		dialHost(t, nobody)
	}
	if !eventually(func() bool { return open() == most }, false) {
		t.Fatalf("%d connections were accepted, want %d", open(), most)
	}
	if err := roundTrip(live, "is there room?"); err != nil {
		t.Errorf("while %d clients wait for nobody: %v", most, err)
	}
	var all sync.WaitGroup
	var failed atomic.Int64
	for range 4 * most {
		all.Go(func() {
			if err := roundTrip(live, "all at once"); err != nil {
				failed.Add(1)
				t.Log(err)
			}
		})
	}
	all.Wait()
	if n := failed.Load(); n != 0 {
		t.Errorf("%d of %d clients that came at once failed", n, 4*most)
	}
}

// More clients than there may be sessions: each has its answer, those that were
// there longest make room, and it is counted.
func TestHostfwdUDPExhaustion(t *testing.T) {
	t.Parallel()
	g, _, path := controlled(t)
	serveUDP(t, g, "0.0.0.0:7", whoami)
	_, port := forward(t, path, "udp", "127.0.0.1", 0, 7)
	const clients, most = 4500, 4096
	for i := range clients {
		// From 127.0.0.0/8: to the guest all of them are the gateway.
		c, err := client{to: "127.0.0.1", from: fmt.Sprintf("127.1.%d.%d", i>>8, i&0xff)}.dial("udp", port)
		if err != nil {
			t.Fatal(err)
		}
		err = exchangeUDPOnce(c)
		c.Close()
		if err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
	}
	s := asked[api.Stats](t, path, "query_stats")
	if want := (api.Flows{Open: most, Total: clients}); s.Hostfwd.UDP != want || s.Drops["forward_udp_evicted"] != clients-most || s.Drops["forward_udp_no_port"] != 0 {
		t.Errorf("%+v, %v; want %+v, and %d evicted", s.Hostfwd.UDP, s.Drops, want, clients-most)
	}
}

// exchangeUDPOnce asks who it is, and has to be the gateway.
func exchangeUDPOnce(c net.Conn) error {
	b := make([]byte, 100)
	for range 5 {
		fmt.Fprint(c, "who am I?")
		c.SetReadDeadline(time.Now().Add(time.Second))
		n, err := c.Read(b)
		if err == nil && !strings.HasPrefix(string(b[:n]), "10.0.2.2:") {
			return fmt.Errorf("seen as %q", b[:n])
		}
		if err == nil {
			return nil
		}
	}
	return errors.New("no answer")
}

// A client whom the guest has not answered yet outlives its forward, as one does
// that it has, unless all are cut.
func TestHostfwdRemovedWhileConnecting(t *testing.T) {
	t.Parallel()
	g, _, path := controlled(t)
	serveTCP(t, g, "0.0.0.0:80", tellPeer)
	id, port := forwardTo(t, path, "tcp", "127.0.0.1", 0, "10.0.2.77", 80)
	c := dialHost(t, port)
	askAPI(t, path, fmt.Sprintf(`{"execute":"remove_hostfwd","arguments":{"id":%d}}`, id))
	if late, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second); err == nil {
		late.Close()
		t.Error("the port is still open")
	}
	// One that has said all it has to say waits as well, one that goes is
	// forgotten.
	id, port = forwardTo(t, path, "tcp", "127.0.0.1", 0, "10.0.2.77", 81)
	serveTCP(t, g, "0.0.0.0:81", func(c *net.TCPConn) {
		b, err := io.ReadAll(c)
		fmt.Fprintf(c, "%s, %v", b, err)
	})
	early := dialHost(t, port)
	fmt.Fprint(early, "in good time")
	early.CloseWrite()
	gone := dialHost(t, port)
	open := func() int { return asked[api.Stats](t, path, "query_stats").Hostfwd.TCP.Open }
	if !eventually(func() bool { return open() == 3 }, false) {
		t.Errorf("%d connections, want 3", open())
	}
	gone.SetLinger(0)
	gone.Close()
	if !eventually(func() bool { return open() == 2 }, false) {
		t.Errorf("%d connections, want 2: one was reset", open())
	}
	askAPI(t, path, fmt.Sprintf(`{"execute":"remove_hostfwd","arguments":{"id":%d,"drain":true}}`, id))
	// Netstack's next SYN finds somebody.
	g.Run(t, commandTimeout, "ip", "address", "add", "10.0.2.77/24", "dev", "tap0")
	if got, err := readAll(c); err != nil || got != fmt.Sprintf("10.0.2.2:%d", c.LocalAddr().(*net.TCPAddr).Port) {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := readAll(early); err != nil || got != "in good time, <nil>" {
		t.Errorf("the one that had said all: %q, %v", got, err)
	}
}
