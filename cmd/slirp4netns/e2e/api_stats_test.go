package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
	"github.com/slirp4netns-go/slirp4netns/parent/api"
)

// asked asks and decodes what was returned.
func asked[T any](t *testing.T, path, verb string) T {
	t.Helper()
	var reply struct{ Return T }
	if got := askAPI(t, path, `{"execute":"`+verb+`"}`); json.Unmarshal([]byte(got), &reply) != nil {
		t.Fatalf("%s: %s", verb, got)
	}
	return reply.Return
}

// query_stats counts what passes: all of it, and nothing that does not.
func TestAPIStats(t *testing.T) {
	g, _, path := controlled(t)
	before := asked[api.Stats](t, path, "query_stats")
	const down, up, datagrams, queries, pings = 3 << 20, 1 << 20, 20, 7, 3

	addr := listenInet(t, func(c *net.TCPConn) {
		io.Copy(io.Discard, c)
		io.Copy(c, lab.Stream(down))
	})
	c := mustDial(t, g, addr.String())
	if _, err := io.Copy(c, lab.Stream(up)); err != nil {
		t.Fatal(err)
	}
	c.CloseWrite()
	if n, err := io.Copy(io.Discard, c); n != down || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	c.Close()
	u, err := g.Dial("udp4", "198.51.100.2:7", commandTimeout)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	u.SetDeadline(time.Now().Add(commandTimeout))
	for range datagrams {
		fmt.Fprint(u, "x")
		if _, err := u.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
	}
	for range queries {
		g.Run(t, commandTimeout, "dig", "+short", "+tries=1", "@10.0.2.3", lab.Domain)
	}
	g.Run(t, commandTimeout, "ping", "-c", fmt.Sprint(pings), "-i", "0.05", "198.51.100.2")
	if _, err := g.Dial("tcp4", "198.51.100.2:9999", commandTimeout); err == nil {
		t.Fatal("somebody listens there")
	}

	settle := func(s api.Stats) bool { return s.TCP.Flows.Open == 0 }
	var after api.Stats
	if !eventually(func() bool { after = asked[api.Stats](t, path, "query_stats"); return settle(after) }, false) {
		t.Errorf("%d connections are open", after.TCP.Flows.Open)
	}
	for what, c := range map[string]struct{ got, least, most uint64 }{
		// A byte of the payload is one at the TAP, with headers.
		"TCP bytes to the guest":     {after.TCP.HostBytes - before.TCP.HostBytes, down, down + down/10},
		"TCP bytes from the guest":   {after.TCP.GuestBytes - before.TCP.GuestBytes, up, up + down/10},
		"TCP flows":                  {after.TCP.Flows.Total - before.TCP.Flows.Total, 1, 1},
		"UDP datagrams from it":      {after.UDP.GuestPackets - before.UDP.GuestPackets, datagrams + queries, datagrams + queries},
		"UDP datagrams to it":        {after.UDP.HostPackets - before.UDP.HostPackets, datagrams + queries, datagrams + queries},
		"UDP flows":                  {after.UDP.Flows.Total - before.UDP.Flows.Total, 1, 1},
		"DNS queries":                {after.DNS.Queries - before.DNS.Queries, queries, queries},
		"DNS answers":                {after.DNS.Answers - before.DNS.Answers, queries, queries},
		"pings from the guest":       {after.ICMP.GuestPackets - before.ICMP.GuestPackets, pings, pings},
		"replies to the guest":       {after.ICMP.HostPackets - before.ICMP.HostPackets, pings, pings},
		"ping flows":                 {after.ICMP.Flows.Total - before.ICMP.Flows.Total, 1, 1},
		"forwards":                   {uint64(after.Hostfwd.Forwards), 0, 0},
		"datagrams that were lost":   {after.Drops["tap_full"], 0, 0},
		"frames that were malformed": {after.Drops["malformed"], 0, 0},
	} {
		if c.got < c.least || c.got > c.most {
			t.Errorf("%s: %d, want %d to %d", what, c.got, c.least, c.most)
		}
	}
	if after.Uptime <= before.Uptime || after.Memory.Heap == 0 || after.Memory.Goroutines == 0 {
		t.Errorf("uptime %g, then %g; memory %+v", before.Uptime, after.Uptime, after.Memory)
	}
}

// What came through a forward is counted as such, also what the guest refuses.
func TestAPIStatsOfForwards(t *testing.T) {
	g, _, path := controlled(t)
	serveTCP(t, g, "0.0.0.0:80", tellPeer)
	_, port := forward(t, path, "tcp", "127.0.0.1", 0, 80)
	_, closed := forward(t, path, "tcp", "127.0.0.1", 0, 81)
	for range 3 {
		c := dialHost(t, port)
		readAll(c)
		c.Close()
	}
	for range 2 {
		// The reset may come before connect(2) has returned.
		if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", closed)); err == nil {
			readAll(c)
			c.Close()
		}
	}
	want := api.Hostfwd{Forwards: 2, TCP: api.Flows{Total: 5}, Refused: 2}
	var got api.Hostfwd
	if !eventually(func() bool { got = asked[api.Stats](t, path, "query_stats").Hostfwd; return got == want }, false) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// list_flows names both ends, counts bytes, and gives the inode by which ss
// finds the host's socket. What has ended is not listed.
func TestAPIFlows(t *testing.T) {
	g, _, path := controlled(t)
	c, peer := pairUp(t, g)
	fmt.Fprint(c, "12345")
	fmt.Fprint(peer, "123")
	io.ReadFull(peer, make([]byte, 5))
	io.ReadFull(c, make([]byte, 3))
	list := func() []api.Flow {
		return asked[struct{ Flows []api.Flow }](t, path, "list_flows").Flows
	}
	flows := list()
	if len(flows) != 1 {
		t.Fatalf("%d flows: %+v", len(flows), flows)
	}
	f := flows[0]
	if f.Age <= 0 || f.Age > 60 {
		t.Errorf("age %g s", f.Age)
	}
	line := onHost(t, "ss", "-tneH", "src", f.Local)
	if !strings.Contains(line, fmt.Sprintf("ino:%d ", f.Inode)) {
		t.Errorf("inode %d; ss says %s", f.Inode, line)
	}
	f.Age, f.Inode = 0, 0
	want := api.Flow{
		Proto: "tcp", Origin: "guest", State: "established", GuestBytes: 5, HostBytes: 3,
		Guest: c.LocalAddr().String(), Peer: peer.LocalAddr().String(),
		Local: peer.RemoteAddr().String(), Remote: peer.LocalAddr().String(),
	}
	if f != want {
		t.Errorf("%+v\nwant %+v", f, want)
	}
	c.Close()
	peer.Close()
	if !eventually(func() bool { return len(list()) == 0 }, false) {
		t.Errorf("still listed: %+v", list())
	}
	if err := udpEcho(g, "198.51.100.2:7", 1); err != nil {
		t.Fatal(err)
	}
	if flows := list(); len(flows) != 1 || flows[0].Proto != "udp" || flows[0].State != "answered" || flows[0].Inode == 0 {
		t.Errorf("after a datagram: %+v", flows)
	}
}
