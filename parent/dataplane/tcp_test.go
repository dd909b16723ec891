package dataplane

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
)

// serve accepts connections on the host's loopback and returns how the guest
// reaches them.
func serve(t *testing.T, handle func(*net.TCPConn)) netip.AddrPort {
	t.Helper()
	return serveBuffered(t, 0, handle)
}

// serveBuffered is serve with receive buffers of size bytes, which the kernel
// doubles, unless that is 0.
func serveBuffered(t *testing.T, size int, handle func(*net.TCPConn)) netip.AddrPort {
	t.Helper()
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if size != 0 {
			cerr := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, size) })
			err = cmp.Or(cerr, err)
		}
		return err
	}}
	l, err := config.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Add(1) // or Wait could come before the first connection's Add
	go func() {
		defer wg.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Add(1)
			go func() { defer wg.Done(); defer c.Close(); handle(c.(*net.TCPConn)) }()
		}
	}()
	return netip.AddrPortFrom(gateway, uint16(l.Addr().(*net.TCPAddr).Port))
}

func echo(c *net.TCPConn) { io.Copy(c, c) }

func mustDial(t *testing.T, g *guest, to netip.AddrPort) *gonet.TCPConn {
	t.Helper()
	c, err := g.dial(to)
	if err != nil {
		t.Fatalf("connect to %s: %v", to, err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestTCPBulkBothWays(t *testing.T) {
	g := newGuest(t, nil)
	data := make([]byte, 8<<20)
	rand.New(rand.NewSource(1)).Read(data)
	c := mustDial(t, g, serve(t, echo))
	go func() {
		c.Write(data)
		c.CloseWrite()
	}()
	h := sha256.New()
	n, err := io.Copy(h, c)
	if err != nil || n != int64(len(data)) {
		t.Fatalf("received %d bytes, %v; want %d", n, err, len(data))
	}
	if want := sha256.Sum256(data); !bytes.Equal(h.Sum(nil), want[:]) {
		t.Error("what came back is not what was sent")
	}
}

func TestTCPRefused(t *testing.T) {
	g := newGuest(t, nil)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	start := time.Now()
	_, err = g.dial(netip.AddrPortFrom(gateway, port))
	var op *net.OpError
	if !errors.As(err, &op) || op.Err.Error() != "connection was refused" {
		t.Errorf("connect to a closed port: %v, want refused", err)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("refused after %v, want at once", d)
	}
}

// A half-closed connection still carries the other direction, to its last
// byte.
func TestTCPHalfClose(t *testing.T) {
	g := newGuest(t, nil)
	to := serve(t, func(c *net.TCPConn) {
		b, _ := io.ReadAll(c) // until the guest's FIN
		time.Sleep(50 * time.Millisecond)
		c.Write(append([]byte("got "), b...))
	})
	c := mustDial(t, g, to)
	c.Write([]byte("request"))
	c.CloseWrite()
	if b, err := io.ReadAll(c); string(b) != "got request" || err != nil {
		t.Errorf("read %q, %v; want %q", b, err, "got request")
	}
}

func TestTCPHostHalfClose(t *testing.T) {
	g := newGuest(t, nil)
	got := make(chan string, 1)
	to := serve(t, func(c *net.TCPConn) {
		c.Write([]byte("bye"))
		c.CloseWrite()
		b, _ := io.ReadAll(c)
		got <- string(b)
	})
	c := mustDial(t, g, to)
	if b, err := io.ReadAll(c); string(b) != "bye" || err != nil {
		t.Fatalf("read %q, %v; want bye", b, err)
	}
	c.Write([]byte("still here"))
	c.CloseWrite()
	if s := <-got; s != "still here" {
		t.Errorf("host read %q, want %q", s, "still here")
	}
}

// RST is passed on as RST, in both directions.
func TestTCPReset(t *testing.T) {
	g := newGuest(t, nil)
	t.Run("host", func(t *testing.T) {
		to := serve(t, func(c *net.TCPConn) {
			c.Read(make([]byte, 1))
			c.SetLinger(0)
		})
		c := mustDial(t, g, to)
		c.Write([]byte("x"))
		if _, err := c.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("guest read: %v, want a reset", err)
		}
	})
	t.Run("guest", func(t *testing.T) {
		got := make(chan error, 1)
		to := serve(t, func(c *net.TCPConn) {
			_, err := c.Read(make([]byte, 1))
			got <- err
		})
		c := mustDial(t, g, to)
		reset(t, g, c)
		if err := <-got; err == nil || err == io.EOF {
			t.Errorf("host read: %v, want a reset", err)
		}
	})
}

// reset makes the guest abort its connection.
func reset(t *testing.T, g *guest, c *gonet.TCPConn) {
	t.Helper()
	for _, ep := range g.stack.RegisteredEndpoints() {
		ep.Abort()
	}
}

func TestTCPManyConnectionsLeaveNothing(t *testing.T) {
	g := newGuest(t, nil)
	to := serve(t, echo)
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 50 {
				c, err := g.dial(to)
				if err != nil {
					t.Error(err)
					return
				}
				c.Write([]byte("ping"))
				b := make([]byte, 4)
				if _, err := io.ReadFull(c, b); err != nil {
					t.Error(err)
				}
				c.Close()
			}
		}()
	}
	wg.Wait()
	settled(t, "no flow is left", func() bool { return g.plane.tcp.Len() == 0 })
}

func TestTCPDisableHostLoopback(t *testing.T) {
	g := newGuest(t, func(c *Config) { c.DisableHostLoopback = true })
	if _, err := g.dial(serve(t, echo)); err == nil {
		t.Error("connected to the host's loopback")
	}
}
