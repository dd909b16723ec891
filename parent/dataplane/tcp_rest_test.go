package dataplane

import (
	"bytes"
	"io"
	"net"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// A guest's kernel forgets a connection whose program has closed it, and answers
// with RST then. What it had sent before is its peer's all the same.
func TestTCPRestOfGuestThatIsGone(t *testing.T) {
	for name, c := range map[string]struct {
		size  int
		sends int // bytes that the server sends before it reads
	}{
		"in the kernel": {200_000, 0},
		// More than the server and our socket take, and no more than fits in all.
		"in netstack":                          {400_000, 0},
		"in the kernel, and the server writes": {200_000, 100_000},
		"in netstack, and the server writes":   {400_000, 5 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t, shortTimes)
			gone, got := make(chan struct{}), make(chan []byte, 1)
			to := serve(t, func(c2 *net.TCPConn) {
				c2.SetReadBuffer(32 << 10)
				<-gone
				if _, err := c2.Write(make([]byte, c.sends)); err != nil {
					t.Errorf("the server writes: %v", err)
				}
				b, err := io.ReadAll(c2)
				if err != nil {
					t.Errorf("the server reads %d bytes, then %v", len(b), err)
				}
				got <- b
			})
			sent := bytes.Repeat([]byte("0123456789"), c.size/10)
			leaveWith(t, g, mustDial(t, g, to), sent)
			close(gone)
			if b := <-got; !bytes.Equal(b, sent) {
				t.Errorf("the server reads %d bytes, want the %d that were sent", len(b), len(sent))
			}
			settled(t, "no flow is left", func() bool { return g.plane.tcp.Len()+g.plane.tcp.Orphans() == 0 })
		})
	}
}

// A server that takes nothing of that has its time, and no more; be the guest gone
// by a reset, or because the server has said FIN as well.
func TestTCPRestNobodyTakes(t *testing.T) {
	for name, fin := range map[string]bool{"reset": false, "FIN": true} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t, shortTimes)
			ended, sees := make(chan struct{}), make(chan error, 1)
			to := serve(t, func(c *net.TCPConn) {
				c.SetReadBuffer(32 << 10)
				if fin {
					c.CloseWrite()
				}
				rc, err := c.SyscallConn()
				if err == nil {
					err = awaitError(rc)
				}
				sees <- err
				<-ended
			})
			defer close(ended)
			c := mustDial(t, g, to)
			if fin {
				leave(t, g, c, make([]byte, 400_000), tcp.StateTimeWait, tcp.StateClose)
			} else {
				leaveWith(t, g, c, make([]byte, 400_000))
			}
			if n := g.plane.tcp.Len(); n != 1 {
				t.Errorf("%d flows, want one that waits for the server", n)
			}
			settled(t, "no flow is left", func() bool { return g.plane.tcp.Len()+g.plane.tcp.Orphans() == 0 })
			if err := <-sees; err != unix.ECONNRESET {
				t.Errorf("the server sees %v, want ECONNRESET", err)
			}
		})
	}
}

// leaveWith sends b and FIN, and resets the connection when the plane has both.
func leaveWith(t *testing.T, g *guest, c *gonet.TCPConn, b []byte) {
	t.Helper()
	leave(t, g, c, b, tcp.StateFinWait2)
	before := g.plane.stack.Stats().TCP.ResetsReceived.Value()
	reset(t, g, c)
	settled(t, "the reset has come", func() bool { return g.plane.stack.Stats().TCP.ResetsReceived.Value() > before })
}

// leave sends b and FIN and waits until the guest's only connection is in
// one of the states.
func leave(t *testing.T, g *guest, c *gonet.TCPConn, b []byte, states ...tcp.EndpointState) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	eps := g.stack.RegisteredEndpoints()
	if len(eps) != 1 {
		t.Fatalf("the guest has %d endpoints, want 1", len(eps))
	}
	settled(t, "the guest has left", func() bool {
		return slices.Contains(states, tcp.EndpointState(eps[0].(tcpip.Endpoint).State()))
	})
}
