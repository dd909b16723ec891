package dataplane

import (
	"net"
	"net/netip"
	"testing"

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
			g.plane.Close()
			settled(t, "no orphan is left", func() bool { return g.plane.tcp.Orphans() == 0 })
		})
	}
}
