package e2e

import (
	"context"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// A byte that nobody answers is acknowledged soon all the same: the guest's
// kernel need not send it again, and Nagle's algorithm does not hold up what
// the guest writes next.
func TestTCPAcknowledged(t *testing.T) {
	onBoth(t, nil, func(t *testing.T, g *lab.Guest, _ bool) {
		c, err := g.Dial("tcp4", "198.51.100.2:9", commandTimeout) // discard
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for i := range 20 {
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			for info := tcpInfo(t, c); info.Unacked != 0; info = tcpInfo(t, c) {
				if ctx.Err() != nil {
					t.Fatalf("byte %d is not acknowledged in 100 ms (%d retransmissions)", i, info.Total_retrans)
				}
				time.Sleep(100 * time.Microsecond)
			}
			cancel()
		}
		// Nor does one wait for the next: half a second of small writes.
		var most uint32
		for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); time.Sleep(200 * time.Microsecond) {
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			most = max(most, tcpInfo(t, c).Unacked)
		}
		if most > 50 { // of 1,000 or so; a loaded machine is allowed some
			t.Errorf("%d segments wait for an acknowledgement", most)
		}
		if n := tcpInfo(t, c).Total_retrans; n != 0 {
			t.Errorf("%d retransmissions", n)
		}
	})
}

// tcpInfo asks the guest's kernel about a connection (tcp(7), TCP_INFO).
func tcpInfo(t *testing.T, c net.Conn) (info *unix.TCPInfo) {
	t.Helper()
	rc, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	rc.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	if err != nil {
		t.Fatal(err)
	}
	return info
}
