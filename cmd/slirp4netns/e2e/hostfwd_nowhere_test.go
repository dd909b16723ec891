package e2e

import (
	"fmt"
	"net"
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
	// Netstack's next SYN finds somebody.
	g.Run(t, commandTimeout, "ip", "address", "add", "10.0.2.77/24", "dev", "tap0")
	if got, err := readAll(c); err != nil || got != fmt.Sprintf("10.0.2.2:%d", c.LocalAddr().(*net.TCPAddr).Port) {
		t.Errorf("%q, %v", got, err)
	}
}
