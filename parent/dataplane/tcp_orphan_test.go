package dataplane

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"

	"github.com/slirp4netns-go/slirp4netns/parent/splice"
)

// Connections whose server is done with them, and whose guest never
// acknowledges the rest, are bounded: the oldest is reset for a new one.
func TestTCPOrphans(t *testing.T) {
	const extra = 5
	for name, end := range map[string]func(*net.TCPConn){
		"FIN": func(*net.TCPConn) {},
		"RST": func(c *net.TCPConn) { c.SetLinger(0) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t, nil)
			to := serve(t, func(c *net.TCPConn) {
				c.Read(make([]byte, 1))
				c.Write([]byte("the rest"))
				end(c)
			})
			for i := range splice.MaxOrphans + extra {
				r := newRawTCP(g, to)
				r.src = netip.AddrPortFrom(r.src.Addr(), uint16(10000+i))
				r.connect("")
				r.send(ack|psh, "x")
				r.seq++
				r.send(ack|fin, "")
			}
			settled(t, "the connections have left", func() bool { return g.plane.tcp.Len() == 0 })
			if n := g.plane.tcp.Orphans(); n != splice.MaxOrphans {
				t.Errorf("%d orphans, want %d", n, splice.MaxOrphans)
			}
			if n := g.plane.Control().Stats().Orphans; n != splice.MaxOrphans {
				t.Errorf("query_stats counts %d orphans, want %d", n, splice.MaxOrphans)
			}
			g.plane.Close()
			settled(t, "no orphan is left", func() bool { return g.plane.tcp.Orphans() == 0 })
		})
	}
}

// Connections of forwarded ports whose client is gone are counted, too.
func TestForwardOrphans(t *testing.T) {
	g := newGuest(t, nil)
	g.listen(80, func(c net.Conn) {
		c.(*gonet.TCPConn).CloseWrite()
		io.Copy(io.Discard, c)
	})
	_, at := g.forward("tcp", "127.0.0.1", 80)
	c, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.ReadAll(c); err != nil { // the guest's FIN
		t.Error(err)
	}
	if err := g.stack.DisableNIC(1); err != nil {
		t.Fatal(err)
	}
	c.Write([]byte("the rest"))
	c.Close()
	settled(t, "it is an orphan", func() bool { return g.plane.Flows().Orphans == 1 })
	if err := g.stack.EnableNIC(1); err != nil {
		t.Fatal(err)
	}
	settled(t, "it has left", func() bool { return g.plane.Flows().Orphans == 0 })
}

// A guest that does not take the rest before the server's RST, and goes on
// writing, is reset: soon, but not so soon that it could not take the rest.
func TestTCPOrphanWrites(t *testing.T) {
	g := newGuest(t, nil)
	to := serve(t, func(c *net.TCPConn) {
		c.Read(make([]byte, 1))
		c.Write([]byte("the rest"))
		c.SetLinger(0)
	})
	r := newRawTCP(g, to)
	r.connect("")
	start := time.Now()
	r.send(ack|psh, "x")
	r.seq++
	settled(t, "the connection has left", func() bool { return g.plane.tcp.Len() == 0 })
	write := func() {
		r.send(ack|psh, "more")
		r.seq += 4
		time.Sleep(50 * time.Millisecond)
	}
	write()
	// On a machine that is very busy the first write comes too late.
	if n := g.plane.tcp.Orphans(); n != 1 && time.Since(start) < 200*time.Millisecond {
		t.Fatalf("%d orphans after the guest's first write, want 1", n)
	}
	time.Sleep(200 * time.Millisecond)
	if n := g.plane.tcp.Orphans(); n != 1 && time.Since(start) < 400*time.Millisecond {
		t.Fatalf("%d orphans while the guest does not write, want 1", n)
	}
	write()
	if n := g.plane.tcp.Orphans(); n != 0 {
		t.Errorf("%d orphans after the guest's last write, want 0", n)
	}
	r.await("RST", rst)
}
