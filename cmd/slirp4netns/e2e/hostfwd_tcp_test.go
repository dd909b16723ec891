package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// A quarter of a GiB through a forward, each way, at both MTUs.
func TestHostfwdTransfer(t *testing.T) {
	const size = 256 << 20
	want, err := lab.SHA256(lab.Stream(size))
	if err != nil {
		t.Fatal(err)
	}
	for _, mtu := range mtus {
		g, _, path := controlled(t, fmt.Sprintf("--mtu=%d", mtu))
		serveTCP(t, g, "0.0.0.0:19", func(c *net.TCPConn) { io.Copy(c, lab.Stream(size)) })
		sums := make(chan string, 1)
		serveTCP(t, g, "0.0.0.0:9", func(c *net.TCPConn) {
			sum, err := lab.SHA256(c)
			sums <- fmt.Sprint(sum, err)
		})
		_, down := forward(t, path, "tcp", "127.0.0.1", 0, 19)
		_, up := forward(t, path, "tcp", "127.0.0.1", 0, 9)
		c := dialHost(t, down)
		if got, err := lab.SHA256(c); err != nil || got != want {
			t.Errorf("mtu %d, from the guest: %s, %v; want %s", mtu, got, err, want)
		}
		c = dialHost(t, up)
		if _, err := io.Copy(c, lab.Stream(size)); err != nil {
			t.Errorf("mtu %d, to the guest: %v", mtu, err)
		}
		c.CloseWrite()
		if got := <-sums; got != want+"<nil>" {
			t.Errorf("mtu %d, to the guest: %s, want %s", mtu, got, want)
		}
	}
}

// dialHost connects to a port of the host's loopback.
func dialHost(t *testing.T, port int) *net.TCPConn {
	t.Helper()
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), commandTimeout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// A guest that refuses, or says that the host is unreachable, is a reset for
// the client, who has not lost a byte to anybody.
func TestHostfwdRefused(t *testing.T) {
	g, _, path := controlled(t)
	// The guest is a router that knows no way to 10.0.2.200.
	guestSysctl(t, g, "net.ipv4.ip_forward", "1")
	g.Run(t, commandTimeout, "ip", "route", "add", "unreachable", "10.0.2.200")
	for guest, why := range map[string]string{"": "refused", "10.0.2.200": "unreachable"} {
		_, port := forwardTo(t, path, "tcp", "127.0.0.1", 0, guest, 81)
		start := time.Now()
		c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), commandTimeout)
		if err == nil {
			c.SetDeadline(time.Now().Add(commandTimeout))
			_, err = c.Read(make([]byte, 1))
			c.Close()
		}
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %v, want a reset", why, err)
		}
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("%s: after %v, want at once", why, d)
		}
	}
}

// The end of each direction, and resets, are passed on.
func TestHostfwdEnds(t *testing.T) {
	g, _, path := controlled(t)
	said := make(chan string, 1)
	serveTCP(t, g, "0.0.0.0:80", func(c *net.TCPConn) {
		b, err := io.ReadAll(c)
		fmt.Fprintf(c, "%s %v", b, err)
	})
	serveTCP(t, g, "0.0.0.0:81", func(c *net.TCPConn) {
		io.WriteString(c, "bye")
		c.CloseWrite()
		b, err := io.ReadAll(c)
		said <- fmt.Sprintf("%s %v", b, err)
	})
	serveTCP(t, g, "0.0.0.0:82", func(c *net.TCPConn) {
		io.ReadFull(c, make([]byte, 1))
		c.SetLinger(0)
	})
	_, port := forward(t, path, "tcp", "127.0.0.1", 0, 80)
	c := dialHost(t, port)
	io.WriteString(c, "request")
	c.CloseWrite()
	if got, err := readAll(c); got != "request <nil>" || err != nil {
		t.Errorf("client finishes first: %q, %v", got, err)
	}
	_, port = forward(t, path, "tcp", "127.0.0.1", 0, 81)
	c = dialHost(t, port)
	if got, err := readAll(c); got != "bye" || err != nil {
		t.Errorf("guest finishes first: %q, %v", got, err)
	}
	io.WriteString(c, "still here")
	c.CloseWrite()
	if got := <-said; got != "still here <nil>" {
		t.Errorf("guest finishes first: it read %q", got)
	}
	c = dialHost(t, port)
	readAll(c)
	c.SetLinger(0)
	c.Close()
	if got := <-said; got == " <nil>" {
		t.Error("the client's reset was an end of file for the guest")
	}
	_, port = forward(t, path, "tcp", "127.0.0.1", 0, 82)
	c = dialHost(t, port)
	io.WriteString(c, "x")
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the guest's reset: %v", err)
	}
}

// 10,000 connections through one forward, 16 at a time, without a failure.
func TestHostfwdManyConnections(t *testing.T) {
	const total, at = 10000, 16
	g, s, path := controlled(t)
	serveTCP(t, g, "0.0.0.0:7", func(c *net.TCPConn) { io.Copy(c, c) })
	_, port := forward(t, path, "tcp", "127.0.0.1", 0, 7)
	before := fds(t, s.Process.Pid)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range at {
		wg.Go(func() {
			for {
				n := next.Add(1)
				if n > total {
					return
				}
				if err := roundTrip(port, fmt.Sprint(n)); err != nil {
					t.Errorf("connection %d: %v", n, err)
					return
				}
			}
		})
	}
	wg.Wait()
	await(t, "all descriptors of the connections are closed", func() bool { return fds(t, s.Process.Pid) <= before })
}

// roundTrip sends a text through a forward and reads it back to the end.
func roundTrip(port int, text string) error {
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), commandTimeout)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(commandTimeout))
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	c.(*net.TCPConn).CloseWrite()
	b, err := io.ReadAll(c)
	if err == nil && string(b) != text {
		err = fmt.Errorf("read %q, want %q", b, text)
	}
	return err
}

// 1,000 forwards, TCP and UDP, come and go and leave nothing.
func TestHostfwdManyForwards(t *testing.T) {
	const count = 1000
	_, s, path := controlled(t)
	before := fds(t, s.Process.Pid)
	ids := make([]int, 0, count)
	for i := range count {
		id, _ := forward(t, path, []string{"tcp", "udp"}[i%2], "127.0.0.1", 20000+i, 80)
		ids = append(ids, id)
	}
	if n := len(listed(t, path)); n != count {
		t.Errorf("%d entries are listed, want %d", n, count)
	}
	// The last request's own may be there for a moment.
	if !eventually(func() bool { return fds(t, s.Process.Pid) == before+count }, false) {
		t.Errorf("%d descriptors for %d forwards", fds(t, s.Process.Pid)-before, count)
	}
	for _, id := range ids {
		if got := askAPI(t, path, fmt.Sprintf(`{"execute":"remove_hostfwd","arguments":{"id":%d}}`, id)); got != `{"return":{}}` {
			t.Fatalf("remove %d: %s", id, got)
		}
	}
	if n := len(listed(t, path)); n != 0 {
		t.Errorf("%d entries are left", n)
	}
	await(t, "no descriptor is left", func() bool { return fds(t, s.Process.Pid) <= before })
}
