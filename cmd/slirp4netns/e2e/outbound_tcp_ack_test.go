package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
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

// An answer acknowledges the request: what the guest receives for an exchange
// of small messages is little more than one packet.
func TestTCPAcknowledgedByAnswer(t *testing.T) {
	onBoth(t, nil, func(t *testing.T, g *lab.Guest, _ bool) {
		c, err := g.Dial("tcp4", "198.51.100.2:7", commandTimeout) // echo
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		const exchanges = 500
		before := packetsReceived(t, g, "tap0")
		b := make([]byte, 16)
		for i := range exchanges {
			if _, err := c.Write(b); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, b); err != nil {
				t.Fatalf("answer %d: %v", i, err)
			}
		}
		got := packetsReceived(t, g, "tap0") - before
		t.Logf("%d packets for %d exchanges", got, exchanges)
		// On a loaded machine an answer may be late, and is then another packet.
		if want := uint64(exchanges * 3 / 2); got > want {
			t.Errorf("%d packets for %d exchanges, want at most %d", got, exchanges, want)
		}
	})
}

// packetsReceived is how many packets an interface of the guest has received.
func packetsReceived(t *testing.T, g *lab.Guest, name string) (n uint64) {
	t.Helper()
	err := g.Do(func() error {
		b, err := os.ReadFile("/proc/thread-self/net/dev")
		if err != nil {
			return err
		}
		_, rest, _ := strings.Cut(string(b), name+":")
		words := strings.Fields(rest) // bytes, packets, ...
		if len(words) < 2 {
			return fmt.Errorf("no %s in\n%s", name, b)
		}
		n, err = strconv.ParseUint(words[1], 10, 64)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
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
