package e2e

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// How connections end: each end, and each half of it, is passed on as what it
// was.

// The guest's end of the stream is passed on, and the answer to it comes back.
// So it is in C.
func TestTCPGuestHalfClose(t *testing.T) {
	g, _ := connectedGuest(t)
	addr := listenInet(t, func(c *net.TCPConn) {
		b, _ := io.ReadAll(c)
		time.Sleep(300 * time.Millisecond)
		fmt.Fprintf(c, "got %s", b)
	})
	out := g.Run(t, commandTimeout, "sh", "-c", "printf request | socat -t 10 - TCP:"+addr.String())
	if out != "got request" {
		t.Errorf("socat read %q, want %q", out, "got request")
	}
}

// After the host's end of the stream the guest still sends. So it is in C.
func TestTCPHostHalfClose(t *testing.T) {
	g, _ := connectedGuest(t)
	got := make(chan string, 1)
	addr := listenInet(t, func(c *net.TCPConn) {
		c.Write([]byte("bye"))
		c.CloseWrite()
		b, _ := io.ReadAll(c)
		got <- string(b)
	})
	out := g.Run(t, commandTimeout, "sh", "-c", "{ sleep 0.5; printf late; } | socat -t 10 - TCP:"+addr.String())
	if in := <-got; out != "bye" || in != "late" {
		t.Errorf("the guest read %q and the server %q, want bye and late", out, in)
	}
}

// Both ends say goodbye at once, many times over: nobody sees a reset.
func TestTCPSimultaneousClose(t *testing.T) {
	g, _ := connectedGuest(t)
	addr, conns := accepting(t)
	for i := range 200 {
		c := mustDial(t, g, addr.String())
		peer := <-conns
		start := make(chan struct{})
		results := make(chan error, 2)
		for _, end := range []*net.TCPConn{c, peer} {
			go func() {
				<-start
				end.CloseWrite()
				got, err := readAll(end)
				if err == nil && got != "" {
					err = fmt.Errorf("read %q", got)
				}
				results <- err
			}()
		}
		close(start)
		for range 2 {
			if err := <-results; err != nil {
				t.Fatalf("connection %d: %v, want the end", i, err)
			}
		}
		c.Close()
	}
}

// What the guest resets, the peer sees reset. C closes: the peer takes it for
// the end of the stream.
func TestTCPGuestReset(t *testing.T) {
	g, _ := connectedGuest(t)
	t.Run("idle", func(t *testing.T) {
		c, peer := pairUp(t, g)
		c.SetLinger(0)
		c.Close()
		peer.SetReadDeadline(time.Now().Add(3 * time.Second))
		if _, err := peer.Read(make([]byte, 1)); errno(err) != unix.ECONNRESET {
			t.Errorf("the peer reads: %v, want ECONNRESET", err)
		}
	})
	// A peer that does not read hears of it all the same.
	t.Run("full", func(t *testing.T) {
		c, peer := pairUp(t, g)
		c.SetWriteDeadline(time.Now().Add(time.Second))
		n, _ := io.Copy(c, lab.Stream(1<<30))
		if n == 1<<30 {
			t.Fatal("the guest could write without end")
		}
		c.SetLinger(0)
		c.Close()
		awaitReset(t, peer, 3*time.Second)
	})
	t.Run("half-closed", func(t *testing.T) {
		c, peer := pairUp(t, g)
		c.CloseWrite()
		io.ReadAll(peer) // it has arrived
		c.SetLinger(0)
		c.Close()
		awaitReset(t, peer, 3*time.Second)
	})
	// A process that is killed while it has not read all: its kernel resets.
	t.Run("unread", func(t *testing.T) {
		c, peer := pairUp(t, g)
		peer.Write([]byte("unread"))
		time.Sleep(100 * time.Millisecond)
		c.Close()
		awaitReset(t, peer, 3*time.Second)
	})
}

// What the host's peer resets, the guest sees reset. So it does with C.
func TestTCPHostReset(t *testing.T) {
	g, _ := connectedGuest(t)
	for _, half := range []bool{false, true} {
		c, peer := pairUp(t, g)
		if half {
			c.CloseWrite()
			io.ReadAll(peer)
		}
		peer.SetLinger(0)
		peer.Close()
		c.SetReadDeadline(time.Now().Add(3 * time.Second))
		if _, err := c.Read(make([]byte, 1)); errno(err) != unix.ECONNRESET {
			t.Errorf("half-closed %v: the guest reads: %v, want ECONNRESET", half, err)
		}
	}
}

// What the peer had sent before it reset arrives first, as over a wire: a
// server that refuses an upload says why.
func TestTCPDataBeforeReset(t *testing.T) {
	g, _ := connectedGuest(t)
	for i := range 50 {
		c, peer := pairUp(t, g)
		if _, err := c.Write([]byte("request")); err != nil {
			t.Fatal(err)
		}
		if err := awaitUnread(peer, len("request")); err != nil { // and it stays unread
			t.Fatal(err)
		}
		peer.Write([]byte("413 too large"))
		peer.Close() // resets
		got := make([]byte, 100)
		c.SetReadDeadline(time.Now().Add(3 * time.Second))
		n, err := c.Read(got)
		if string(got[:n]) != "413 too large" {
			t.Fatalf("connection %d: the guest read %q, %v", i, got[:n], err)
		}
		if _, err = c.Read(got); errno(err) != unix.ECONNRESET {
			t.Errorf("connection %d: then %v, want ECONNRESET", i, err)
		}
	}
}

// awaitUnread waits until the kernel has n bytes for c (SIOCINQ, tcp(7)).
func awaitUnread(c *net.TCPConn, n int) error {
	rc, err := c.SyscallConn()
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(3 * time.Second); ; time.Sleep(time.Millisecond) {
		got := 0
		rc.Control(func(fd uintptr) { got, err = unix.IoctlGetInt(int(fd), unix.SIOCINQ) })
		if err != nil || got >= n {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d bytes have arrived after 3 s", got, n)
		}
	}
}

// A peer that dies in the middle of an upload never looks like one that took
// all of it. Nor does it in C.
func TestTCPPeerDiesDuringUpload(t *testing.T) {
	g, _ := connectedGuest(t)
	addr := listenInet(t, func(c *net.TCPConn) {
		io.CopyN(io.Discard, c, 1<<20)
		if err := awaitUnread(c, 1); err != nil {
			t.Error(err)
		}
		// Closed with data unread: RST.
	})
	wire := sniff(t, g, "tap0", nil)
	c := mustDial(t, g, addr.String())
	c.SetWriteDeadline(time.Now().Add(5 * time.Second))
	_, err := io.Copy(c, lab.Stream(1<<40))
	if e := errno(err); e != unix.ECONNRESET && e != unix.EPIPE {
		t.Errorf("the guest writes: %v, want ECONNRESET or EPIPE", err)
	}
	time.Sleep(100 * time.Millisecond)
	reset := false
	for _, s := range wire.segments(addr.Addr()) {
		if s.flags&tcpFIN != 0 {
			t.Errorf("the guest was sent a clean end: %v", s)
		}
		reset = reset || s.flags&tcpRST != 0
	}
	if !reset {
		t.Error("the guest was sent no RST")
	}
}

// Urgent data stays in the stream, in its place, in both directions. C keeps
// it urgent, so a program that does not look for it does not see it.
func TestTCPUrgentData(t *testing.T) {
	g, _ := connectedGuest(t)
	c, peer := pairUp(t, g)
	for name, ends := range map[string][2]*net.TCPConn{
		"guest to host": {c, peer},
		"host to guest": {peer, c},
	} {
		from, to := ends[0], ends[1]
		rc, err := from.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var want strings.Builder
		for i := range 50 {
			part := fmt.Sprintf("before %d ", i)
			rc.Control(func(fd uintptr) {
				_, err = unix.Write(int(fd), []byte(part))
				if err == nil {
					err = unix.Send(int(fd), []byte("urgent!"), unix.MSG_OOB)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			want.WriteString(part + "urgent!")
			if i%7 == 0 {
				time.Sleep(5 * time.Millisecond)
			}
		}
		// The guest's kernel takes the last byte of urgent data out of the
		// stream only if it was marked as urgent.
		got := make([]byte, want.Len())
		to.SetReadDeadline(time.Now().Add(3 * time.Second))
		if n, err := io.ReadFull(to, got); string(got) != want.String() {
			t.Errorf("%s: %d of %d bytes, %v: %q", name, n, want.Len(), err, got[:n])
		}
	}
}

// The host's socket of a guest's process that was killed, while its peer keeps
// the connection, goes away: at once after unread data (above), else when the
// guest's kernel has forgotten the connection (tcp_fin_timeout) and answers
// the next probe with RST; but not before the peer has read what was sent. In C
// it stays for ever.
func TestTCPKilledProcess(t *testing.T) {
	for name, size := range map[string]int{"the peer has read all": 1, "the peer reads later": 300_000} {
		t.Run(name, func(t *testing.T) { testKilledProcess(t, size) })
	}
}

func testKilledProcess(t *testing.T, size int) {
	t.Parallel()
	g, _ := connectedGuest(t)
	guestSysctl(t, g, "net.ipv4.tcp_fin_timeout", "3")
	addr, conns := accepting(t)
	cmd := g.Command(t.Context(), "nc", "198.51.100.2", fmt.Sprint(addr.Port()))
	in, err := cmd.StdinPipe() // stays open
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	peer := <-conns
	// Less than we have buffers for, so that the guest's FIN comes.
	in.Write(make([]byte, size))
	await(t, "we have all", func() bool {
		acked := fmt.Sprintf("bytes_acked:%d ", size+1) // the SYN counts
		return strings.Contains(g.Run(t, commandTimeout, "ss", "-tinH", "dst", "198.51.100.2"), acked)
	})
	if size == 1 {
		peer.Read(make([]byte, 1))
	}
	cmd.Process.Kill()
	cmd.Wait()
	if size != 1 {
		awaitForgotten(t, g)
		if b, err := io.ReadAll(peer); len(b) != size || err != nil {
			t.Errorf("the peer reads %d bytes, then %v; want all %d, then the end", len(b), err, size)
		}
	}
	awaitReset(t, peer, 30*time.Second)
	if out := onHost(t, "ss", "-tnH", "dst", addr.String()); out != "" {
		t.Errorf("sockets are left: %s", out)
	}
}

// awaitForgotten waits until the guest's kernel has answered something with RST.
func awaitForgotten(t *testing.T, g *lab.Guest) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		out := g.Run(t, commandTimeout, "nstat", "-azs", "TcpOutRsts")
		if f := strings.Fields(out); len(f) < 3 || f[1] != "TcpOutRsts" {
			t.Fatalf("nstat says %q", out)
		} else if f[2] != "0" {
			return
		}
	}
	t.Fatal("the guest's kernel has not forgotten the connection within 30 s")
}

// A port of the guest can be used again for the same server as soon as the
// connection has ended, when the server ended it. C refuses.
func TestTCPSamePortAgain(t *testing.T) {
	g, _ := connectedGuest(t)
	addr := listenInet(t, func(c *net.TCPConn) {
		c.Write([]byte("bye"))
		c.CloseWrite()
		c.Read(make([]byte, 1))
		c.SetLinger(0) // the server's own TIME_WAIT is not what is tested
	})
	d := net.Dialer{
		Timeout:   5 * time.Second,
		LocalAddr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort("10.0.2.100:5555")),
		Control: func(_, _ string, rc syscall.RawConn) error {
			return rc.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
		},
	}
	const conns = 20
	slow := 0
	for i := range conns {
		start := time.Now()
		var c net.Conn
		var err error
		for {
			err = g.Do(func() (err error) { c, err = d.Dial("tcp4", addr.String()); return err })
			// The guest's kernel still waits for the last ACK.
			if errno(err) != unix.EADDRNOTAVAIL || time.Since(start) > 400*time.Millisecond {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		if time.Since(start) > 150*time.Millisecond { // its least time-out is 200 ms
			slow++
		}
		got, err := readAll(c)
		c.Close()
		if d := time.Since(start); got != "bye" || d > 500*time.Millisecond {
			t.Errorf("connection %d: %q, %v after %v", i, got, err, d)
		}
	}
	if slow > conns/4 {
		t.Errorf("%d of %d connections had to wait for a time-out of the guest's kernel", slow, conns)
	}
}
