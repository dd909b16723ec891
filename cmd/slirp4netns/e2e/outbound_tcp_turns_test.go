package e2e

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// Connections that carry a request now and then, one after the other, do not wait
// for each other's buffers: each has its answer at once, however many there are.
func TestTCPManyInTurn(t *testing.T) {
	g := lab.NewGuest(t, byUser)
	g.Slirp(t, "-c", "--mtu=65520")
	const conns, rounds, size = 120, 4, 100 << 10
	at := listenInet(t, func(c *net.TCPConn) {
		b := make([]byte, size)
		for {
			if _, err := io.ReadFull(c, b); err != nil {
				return
			}
			c.Write(b[:1])
		}
	})
	var all [conns]*net.TCPConn
	for i := range all {
		all[i] = mustDial(t, g, at.String())
	}
	b := make([]byte, size)
	slow, worst := 0, time.Duration(0)
	for range rounds {
		for _, c := range all {
			begin := time.Now()
			c.SetDeadline(begin.Add(commandTimeout))
			if _, err := c.Write(b); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, b[:1]); err != nil {
				t.Fatal(err)
			}
			took := time.Since(begin)
			if worst = max(worst, took); took > 100*time.Millisecond {
				slow++
			}
		}
	}
	t.Logf("%d of %d took more than 100 ms, the longest %v", slow, conns*rounds, worst)
	// A loaded machine is allowed some.
	if slow > conns*rounds/50 {
		t.Errorf("%d of %d requests took more than 100 ms, the longest %v", slow, conns*rounds, worst)
	}
}
