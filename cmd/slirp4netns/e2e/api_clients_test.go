package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// 200 clients that say nothing, and one that asks for much and reads nothing,
// disturb neither a transfer nor other clients.
func TestAPIIdleClients(t *testing.T) {
	g, _, path := controlled(t)
	for i := range 2000 {
		forward(t, path, "udp", "127.0.0.1", 20000+i, 80)
	}
	stop := watchTransfer(t, g)

	deaf := dialAPI(t, path)
	if _, err := io.WriteString(deaf, `{"execute":"list_hostfwd"}`); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		dialAPI(t, path)
	}
	const requests = 50
	answered := 0
	for i := range requests {
		reply, err := tryAskAPI(path, fmt.Sprintf(`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_addr":"127.0.0.1","host_port":%d,"guest_port":80}}`, 22000+i))
		if err == nil && strings.HasPrefix(reply, `{"return":{"id":`) {
			answered++
		}
	}
	if answered != requests {
		t.Errorf("%d of %d requests were answered", answered, requests)
	}
	if size, sent := len(askAPI(t, path, `{"execute":"list_hostfwd"}`)), unread(t, deaf); sent == 0 || sent >= size {
		t.Errorf("%d bytes of a list of %d wait for the one that reads nothing: the server was not blocked", sent, size)
	}
	if gap := stop(); gap > 500*time.Millisecond {
		t.Errorf("the transfer stood still for %v", gap)
	}
}

// Clients that ask for all there is to be told, of thousands of flows and over and
// over, do not hold up a transfer either.
func TestAPIBusyClients(t *testing.T) {
	const clients = 4
	g, _, path := controlled(t)
	count := 0
	for port := 10000; count < 4000; port += 400 {
		burst(t, g, port, 400, "x", "198.51.100.2:9") // of which some may be lost
		count = len(flows(t, path))
	}
	stop := watchTransfer(t, g)
	var all sync.WaitGroup
	var answered atomic.Int64
	end := time.Now().Add(time.Second)
	for range clients {
		all.Go(func() {
			for time.Now().Before(end) {
				reply, err := tryAskAPI(path, `{"execute":"list_flows"}`)
				if err != nil || strings.Count(reply, `"proto":"udp"`) < count {
					t.Errorf("%d bytes, %v", len(reply), err)
					return
				}
				answered.Add(1)
			}
		})
	}
	all.Wait()
	gap := stop()
	t.Logf("%d lists of %d flows, and the transfer stood still for %v at most", answered.Load(), count, gap)
	if gap > 500*time.Millisecond {
		t.Errorf("the transfer stood still for %v", gap)
	}
	if answered.Load() < clients {
		t.Errorf("%d requests were answered", answered.Load())
	}
}

// watchTransfer begins a transfer to the guest. The function that it returns
// ends it and tells the longest time in which not a byte came.
func watchTransfer(t *testing.T, g *lab.Guest) (stop func() time.Duration) {
	t.Helper()
	c, err := g.Dial("tcp", "198.51.100.2:19", commandTimeout) // chargen
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	b := make([]byte, 64<<10)
	if _, err := c.Read(b); err != nil {
		t.Fatal(err)
	}
	var ended atomic.Bool
	worst := make(chan time.Duration, 1)
	go func() {
		var gap time.Duration
		for last := time.Now(); !ended.Load(); {
			if _, err := c.Read(b); err != nil {
				t.Errorf("the transfer: %v", err)
				break
			}
			now := time.Now()
			gap, last = max(gap, now.Sub(last)), now
		}
		worst <- gap
	}()
	return func() time.Duration {
		ended.Store(true)
		return <-worst
	}
}

// unread is how many bytes have come that were not read.
func unread(t *testing.T, c *net.UnixConn) (n int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { n, inner = unix.IoctlGetInt(int(fd), unix.SIOCINQ) }); err != nil || inner != nil {
		t.Fatal(err, inner)
	}
	return n
}

// Noise, in large numbers and from several clients at once, leaves the server
// and the data plane up: a MiB that is random, and a MiB of damaged requests.
func TestAPINoise(t *testing.T) {
	g, _, path := controlled(t)
	const clients = 4
	done := make(chan error, 2*clients)
	first := time.Now().UnixNano()
	t.Logf("seeds %d to %d", first, first+clients-1)
	for seed := first; seed < first+clients; seed++ {
		go func() { done <- makeNoise(path, rand.New(rand.NewSource(seed)), noise, 1<<20/clients) }()
		go func() { done <- makeNoise(path, rand.New(rand.NewSource(seed)), damaged, 1<<20/clients) }()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for _, f := range listed(t, path) {
		askAPI(t, path, fmt.Sprintf(`{"execute":"remove_hostfwd","arguments":{"id":%v}}`, f["id"]))
	}
	if got := askAPI(t, path, `{"execute":"list_hostfwd"}`); got != `{"entries":[],"return":{"entries":[]}}` {
		t.Errorf("afterwards: %s", got)
	}
	if err := udpEcho(g, "10.0.2.2:7", 100); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// noise is random bytes.
func noise(r *rand.Rand) []byte {
	b := make([]byte, 1+r.Intn(4095))
	r.Read(b)
	return b
}

// damaged is a request with other bytes here and there, and some too many or
// too few.
func damaged(r *rand.Rand) []byte {
	var b []byte
	for len(b) == 0 || len(b) > 300 { // those of 4 KiB would be most of the MiB
		b = []byte(apiRequests[r.Intn(len(apiRequests))])
	}
	for range 1 + r.Intn(3) {
		i := r.Intn(len(b))
		switch r.Intn(3) {
		case 0:
			b[i] = byte(r.Intn(256))
		case 1:
			b = append(b[:i:i], b[min(i+1+r.Intn(3), len(b)-1):]...)
		case 2:
			b = append(b[:i:i], append([]byte(`{}[]":,0e-.n`)[r.Intn(12):][:1], b[i:]...)...)
		}
	}
	return b
}

// makeNoise sends size bytes of requests, each of which has a reply.
func makeNoise(path string, r *rand.Rand, next func(*rand.Rand) []byte, size int) error {
	for size > 0 {
		b := next(r)
		size -= len(b)
		reply, err := tryAskAPI(path, string(b))
		if err != nil || !json.Valid([]byte(reply)) {
			return fmt.Errorf("%q: reply %q, %v", b, reply, err)
		}
	}
	return nil
}
