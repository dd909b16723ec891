package dataplane

import (
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/splice"
)

// shortTimes are splice.DefaultTimes on a scale for tests.
func shortTimes(c *Config) {
	t := splice.DefaultTimes
	t.Open = splice.Keepalive{Idle: 400 * time.Millisecond, Interval: 50 * time.Millisecond, Count: 2}
	t.HalfClosed = splice.Keepalive{Idle: 50 * time.Millisecond, Interval: 50 * time.Millisecond, Count: 2}
	t.Orphan = 300 * time.Millisecond
	c.times = &t
}

// A guest that vanishes without a word is noticed: the server sees RST. One
// that has sent FIN before is noticed sooner.
func TestTCPKeepaliveEnds(t *testing.T) {
	for name, c := range map[string]struct {
		last     func(*rawTCP)
		want     error
		from, to time.Duration
	}{
		"open": {func(*rawTCP) {}, unix.ECONNRESET, 400 * time.Millisecond, 5 * time.Second},
		// Linux calls a RST behind a FIN EPIPE.
		"half-closed": {func(r *rawTCP) { r.send(ack|fin, "") }, unix.EPIPE, 50 * time.Millisecond, 390 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t, shortTimes)
			gone := make(chan error, 1)
			to := serve(t, func(c *net.TCPConn) {
				rc, err := c.SyscallConn()
				if err == nil {
					err = awaitError(rc)
				}
				gone <- err
			})
			r := newRawTCP(g, to)
			r.connect("")
			start := time.Now()
			c.last(r)
			select {
			case err := <-gone:
				if d := time.Since(start); !errors.Is(err, c.want) || d < c.from || d > c.to {
					t.Errorf("the server sees %v after %v, want %v after %v to %v", err, d, c.want, c.from, c.to)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("the server sees nothing")
			}
			settled(t, "no flow is left", func() bool { return g.plane.tcp.Len() == 0 })
		})
	}
}

// awaitError waits for a socket's error, which reading would see behind an end
// of the stream.
func awaitError(rc interface{ Control(func(uintptr)) error }) (err error) {
	for deadline := time.Now().Add(8 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		v := 0
		if cerr := rc.Control(func(fd uintptr) { v, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR) }); cerr != nil {
			return cerr
		}
		if err != nil {
			return err
		}
		if v != 0 {
			return unix.Errno(v)
		}
	}
	return errors.New("no error")
}

// A guest that does not take the rest has its time, and no more.
func TestTCPOrphanEnds(t *testing.T) {
	for name, end := range map[string]func(*net.TCPConn){
		"FIN": func(*net.TCPConn) {},
		"RST": func(c *net.TCPConn) { c.SetLinger(0) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t, shortTimes)
			to := serve(t, func(c *net.TCPConn) {
				c.Read(make([]byte, 1))
				c.Write([]byte("the rest"))
				end(c)
			})
			r := newRawTCP(g, to)
			r.connect("")
			r.send(ack|psh, "x")
			r.seq++
			r.send(ack|fin, "")
			settled(t, "the connection has left", func() bool { return g.plane.tcp.Len() == 0 })
			if n := g.plane.tcp.Orphans(); n != 1 {
				t.Fatalf("%d orphans, want 1", n)
			}
			settled(t, "the orphan has ended", func() bool { return g.plane.tcp.Orphans() == 0 })
		})
	}
}

// However long the guest has taken nothing before, it has its time from the
// server's end on: for what netstack has, and for what is still in our socket.
func TestTCPOrphanAfterPause(t *testing.T) {
	for name, size := range map[string]int{"little": 8, "much": 3 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGuest(t, func(c *Config) {
				shortTimes(c)
				c.times.Open.Idle = time.Hour // it acknowledges nothing at all
			})
			const pause = 1200 * time.Millisecond // netstack would be about to give up
			closed := make(chan time.Time, 1)
			to := serve(t, func(c *net.TCPConn) {
				c.SetWriteDeadline(time.Now().Add(pause))
				c.Write(make([]byte, size))
				time.Sleep(pause)
				c.SetLinger(0)
				closed <- time.Now()
			})
			r := newRawTCP(g, to)
			r.connect("")
			start := <-closed
			settled(t, "it has ended", func() bool { return g.plane.tcp.Len()+g.plane.tcp.Orphans() == 0 })
			if d := time.Since(start); d < 300*time.Millisecond {
				t.Errorf("it was given up %v after the server's end, want 300 ms at least", d)
			}
			r.await("RST", rst)
		})
	}
}
