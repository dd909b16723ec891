package dataplane

import (
	"bytes"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"github.com/slirp4netns-go/slirp4netns/parent/splice"
)

// restTimes are long enough for a test that had to wait for a processor.
func restTimes(orphan time.Duration) func(*Config) {
	return func(c *Config) {
		t := splice.DefaultTimes
		t.Orphan = orphan
		c.times = &t
	}
}

const (
	restBuffer = 32 << 10 // bytes, of the server
	// inKernel is what the server's buffer and our socket take, in bytes.
	inKernel = 200_000
	// inNetstack is more than they take, 320 KiB and one and a half buffers at
	// most, and no more than fits in all, which is 400 KiB and a buffer.
	inNetstack = 410_000
)

// A guest's kernel forgets a connection whose program has closed it, and answers
// with RST then. What it had sent before is its peer's all the same.
func TestTCPRestOfGuestThatIsGone(t *testing.T) {
	for name, c := range map[string]struct {
		size  int
		sends int // bytes that the server sends before it reads
	}{
		"in the kernel":                        {inKernel, 0},
		"in netstack":                          {inNetstack, 0},
		"in the kernel, and the server writes": {inKernel, 100_000},
		"in netstack, and the server writes":   {inNetstack, 5 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t, restTimes(8*time.Second))
			gone, got := make(chan struct{}), make(chan []byte, 1)
			goOn := sync.OnceFunc(func() { close(gone) })
			to := serveBuffered(t, restBuffer, func(s *net.TCPConn) {
				<-gone
				s.SetDeadline(time.Now().Add(20 * time.Second))
				if _, err := s.Write(make([]byte, c.sends)); err != nil {
					t.Errorf("the server writes: %v", err)
				}
				b, err := io.ReadAll(s)
				if err != nil {
					t.Errorf("the server reads %d bytes, then %v", len(b), err)
				}
				got <- b
			})
			defer goOn()
			sent := bytes.Repeat([]byte("0123456789"), c.size/10)
			leaveWith(t, g, mustDial(t, g, to), sent)
			goOn()
			if b := <-got; !bytes.Equal(b, sent) {
				t.Errorf("the server reads %d bytes, want the %d that were sent", len(b), len(sent))
			}
			settled(t, "no flow is left", func() bool { return g.plane.tcp.Len()+g.plane.tcp.Orphans() == 0 })
		})
	}
}

// The same when the guest's kernel answers with RST what the server sends, which it
// ends at once.
func TestTCPRestOfGuestThatAnswersWithReset(t *testing.T) {
	g := newGuest(t, restTimes(8*time.Second))
	for range 30 {
		gone, got := make(chan struct{}), make(chan []byte, 1)
		goOn := sync.OnceFunc(func() { close(gone) })
		to := serveBuffered(t, restBuffer, func(s *net.TCPConn) {
			<-gone
			s.SetDeadline(time.Now().Add(20 * time.Second))
			if _, err := s.Write(make([]byte, 64<<10)); err != nil {
				t.Errorf("the server writes: %v", err)
			}
			s.CloseWrite()
			settled(t, "the guest is gone", func() bool { return len(g.plane.stack.RegisteredEndpoints()) == 0 })
			b, err := io.ReadAll(s)
			if err != nil {
				t.Errorf("the server reads %d bytes, then %v", len(b), err)
			}
			got <- b
		})
		sent := bytes.Repeat([]byte("0123456789"), inKernel/10)
		c := mustDial(t, g, to)
		leave(t, g, c, sent, tcp.StateFinWait2)
		c.Close()
		goOn()
		if b := <-got; !bytes.Equal(b, sent) {
			t.Errorf("the server reads %d bytes, want the %d that were sent", len(b), len(sent))
		}
		settled(t, "no flow is left", func() bool { return g.plane.tcp.Len()+g.plane.tcp.Orphans() == 0 })
	}
}

// A server that takes nothing of that has its time, and no more; be the guest gone
// by a reset, or because the server has said FIN as well.
func TestTCPRestNobodyTakes(t *testing.T) {
	for name, fin := range map[string]bool{"reset": false, "FIN": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGuest(t, restTimes(2*time.Second))
			gone, ended, sees := make(chan struct{}), make(chan struct{}), make(chan error, 1)
			goOn := sync.OnceFunc(func() { close(gone) })
			to := serveBuffered(t, restBuffer, func(c *net.TCPConn) {
				if fin {
					c.CloseWrite()
				}
				<-gone
				rc, err := c.SyscallConn()
				if err == nil {
					err = awaitError(rc)
				}
				sees <- err
				<-ended
			})
			defer close(ended)
			defer goOn()
			c := mustDial(t, g, to)
			if fin {
				leave(t, g, c, make([]byte, inNetstack), tcp.StateTimeWait, tcp.StateClose)
			} else {
				leaveWith(t, g, c, make([]byte, inNetstack))
			}
			if n := g.plane.tcp.Len(); n != 1 {
				t.Errorf("%d flows, want one that waits for the server", n)
			}
			goOn()
			settled(t, "no flow is left", func() bool { return g.plane.tcp.Len()+g.plane.tcp.Orphans() == 0 })
			if err := <-sees; err != unix.ECONNRESET {
				t.Errorf("the server sees %v, want ECONNRESET", err)
			}
		})
	}
}

// A server that says FIN and then RST, with which nothing of the rest can go any
// more, is seen to have ended.
func TestTCPRestAndServerEnds(t *testing.T) {
	g := newGuest(t, restTimes(time.Hour))
	gone := make(chan struct{})
	goOn := sync.OnceFunc(func() { close(gone) })
	to := serveBuffered(t, restBuffer, func(c *net.TCPConn) {
		<-gone
		c.CloseWrite()
		time.Sleep(20 * time.Millisecond) // two events
	})
	defer goOn()
	leaveWith(t, g, mustDial(t, g, to), make([]byte, inKernel))
	settled(t, "the connection is netstack's no more", func() bool { return len(g.plane.stack.RegisteredEndpoints()) == 0 })
	if n := g.plane.tcp.Len(); n != 1 {
		t.Errorf("%d flows, want one that waits for the server", n)
	}
	goOn()
	settled(t, "no flow is left", func() bool { return g.plane.tcp.Len()+g.plane.tcp.Orphans() == 0 })
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
	eps := g.stack.RegisteredEndpoints()
	if len(eps) != 1 {
		t.Fatalf("the guest has %d endpoints, want 1", len(eps))
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	settled(t, "the guest has left", func() bool {
		return slices.Contains(states, tcp.EndpointState(eps[0].(tcpip.Endpoint).State()))
	})
}
