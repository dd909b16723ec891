package e2e

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/parent/api"
)

// flows are what list_flows says.
func flows(t *testing.T, path string) []api.Flow {
	t.Helper()
	return asked[struct{ Flows []api.Flow }](t, path, "list_flows").Flows
}

// inode is that of the only socket of the host that ss finds.
func inode(t *testing.T, args ...string) uint64 {
	t.Helper()
	out := onHost(t, "ss", args...)
	found := regexp.MustCompile(`\bino:(\d+)`).FindAllStringSubmatch(out, -1)
	if len(found) != 1 {
		t.Fatalf("ss %v: %d sockets, want 1:\n%s", args, len(found), out)
	}
	n, _ := strconv.ParseUint(found[0][1], 10, 64)
	return n
}

// list_flows has the connections and the clients of forwarded ports, with the
// ends of the host's socket and the inode by which ss finds it.
func TestAPIFlowsOfForwards(t *testing.T) {
	g, _, path := controlled(t)
	serveTCP(t, g, "0.0.0.0:80", func(c *net.TCPConn) {
		io.ReadFull(c, make([]byte, 5))
		fmt.Fprint(c, "123")
		io.Copy(io.Discard, c)
	})
	serveUDP(t, g, "0.0.0.0:81", func(string, netip.AddrPort) string { return "1234" })
	_, port := forward(t, path, "tcp", "127.0.0.1", 0, 80)
	_, answers := forward(t, path, "udp", "127.0.0.1", 0, 81)
	_, silent := forward(t, path, "udp", "0.0.0.0", 0, 82)
	// Whatever the guest hears of: a port that nobody listens on would be
	// answered, by an error.
	var dumb net.PacketConn
	if err := g.Do(func() (err error) { dumb, err = net.ListenPacket("udp4", "0.0.0.0:82"); return err }); err != nil {
		t.Fatal(err)
	}
	defer dumb.Close()

	at := func(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
	c := dialHost(t, port)
	fmt.Fprint(c, "12345")
	io.ReadFull(c, make([]byte, 3))
	u, err := client{to: "127.0.0.1"}.dial("udp4", answers)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	fmt.Fprint(u, "12")
	if _, err := u.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	alone, err := client{to: "127.0.0.1"}.dial("udp4", silent)
	if err != nil {
		t.Fatal(err)
	}
	defer alone.Close()
	fmt.Fprint(alone, "1234567")
	dumb.ReadFrom(make([]byte, 10))

	seen := func(c net.Conn) string {
		return fmt.Sprintf("10.0.2.2:%d", netip.MustParseAddrPort(c.LocalAddr().String()).Port())
	}
	tcpInode := inode(t, "-tneH", "src", at(port), "dst", c.LocalAddr().String())
	udpInode := inode(t, "-uaneH", "src", at(answers))
	anyInode := inode(t, "-uaneH", "src", fmt.Sprintf("0.0.0.0:%d", silent))
	want := map[string]api.Flow{
		seen(c): {Proto: "tcp", State: "established", Guest: "10.0.2.100:80", Local: at(port), GuestBytes: 3, HostBytes: 5, Inode: tcpInode, Remote: c.LocalAddr().String()},
		seen(u): {Proto: "udp", State: "answered", Guest: "10.0.2.100:81", Local: at(answers), GuestBytes: 4, HostBytes: 2, Inode: udpInode, Remote: u.LocalAddr().String()},
		seen(alone): {Proto: "udp", State: "unanswered", Guest: "10.0.2.100:82", Local: fmt.Sprintf("0.0.0.0:%d", silent), HostBytes: 7, Inode: anyInode,
			Remote: alone.LocalAddr().String()},
	}
	list := flows(t, path)
	if len(list) != len(want) {
		t.Errorf("%d flows, want %d", len(list), len(want))
	}
	for _, f := range list {
		if f.Age <= 0 || f.Age > 60 {
			t.Errorf("%s: age %g s", f.Peer, f.Age)
		}
		w := want[f.Peer]
		w.Peer, w.Origin, w.Age = f.Peer, "host", f.Age
		if f != w {
			t.Errorf("%+v\nwant %+v", f, w)
		}
	}

	// What has ended is gone, and what the guest lets wait is there.
	c.Close()
	_, nobody := forwardTo(t, path, "tcp", "127.0.0.1", 0, "10.0.2.77", 80)
	waiting := dialHost(t, nobody)
	var f api.Flow
	if !eventually(func() bool {
		tcp := slices.DeleteFunc(flows(t, path), func(f api.Flow) bool { return f.Proto != "tcp" })
		if len(tcp) == 1 {
			f = tcp[0]
		}
		return f.State == "connecting"
	}, false) {
		t.Errorf("after the end of one connection and the beginning of another: %+v", flows(t, path))
	}
	if want := waiting.LocalAddr().String(); f.Remote != want || f.Local != at(nobody) || f.Guest != "10.0.2.77:80" || f.Peer != seen(waiting) {
		t.Errorf("%+v, want the client %s", f, want)
	}
}
