package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// What connections hold whose other end takes nothing has a bound for each and
// one for all together. The C program is there to compare; it has no more than
// 1024 descriptors.
func TestTCPMemory(t *testing.T) {
	for _, m := range []struct {
		name  string
		conns int
		most  int // MiB of ours
		was   int // MiB of ours when there was no bound
		// open makes connections that hold something, now or in a moment, and
		// says what is to be checked at the end.
		open func(t *testing.T, g *lab.Guest, conns int) (check func())
	}{
		{"single bytes to readers that sleep", 20, 24, 136, openDribble},
		{"readers that sleep", 200, 48, 225, openSleepers},
		{"readers that sleep", 2000, 128, 2340, openSleepers},
		{"readers that fall asleep", 100, 80, 119, openDozers},
		{"writers to a server that sleeps", 200, 60, 116, openWriters},
		{"writers to a server that sleeps", 2000, 128, 1109, openWriters},
		{"writers to a server that falls asleep", 200, 200, 116, openTired},
		{"writers to a server that falls asleep", 600, 260, 360, openTired},
	} {
		t.Run(fmt.Sprint(m.conns, " ", m.name), func(t *testing.T) {
			for name, binary := range map[string]string{"ours": "", "C": lab.Reference} {
				if name == "C" && m.conns > 1000 {
					continue
				}
				t.Run(name, func(t *testing.T) {
					g, s := guestOf(t, binary, lab.OrdinaryUID, "--mtu=65520")
					idle := residentKiB(t, s.Process.Pid) >> 10
					check := m.open(t, g, m.conns)
					busy := highestKiB(t, s.Process.Pid) >> 10
					kernel, short := kernelTCP(t)
					t.Logf("%d MiB, %d when idle, %d without a bound; the kernel %d MiB, short of memory: %t", busy, idle, m.was, kernel, short)
					if name == "ours" && busy > m.most {
						t.Errorf("%d MiB, want %d at most", busy, m.most)
					}
					if name == "ours" { // C takes its time
						check()
					}
				})
			}
		})
	}
}

// highestKiB is the resident memory of a process when it has not grown by a MiB
// for a second. It grows a little with all that is done, until the next garbage
// collection.
func highestKiB(t *testing.T, pid int) int {
	t.Helper()
	highest := residentKiB(t, pid)
	for since := time.Now(); time.Since(since) < time.Second; time.Sleep(10 * time.Millisecond) {
		if now := residentKiB(t, pid); now > highest+1<<10 {
			highest, since = now, time.Now()
		}
	}
	return highest
}

// openDribble has a server send single bytes to guests that read none of them,
// as fast as they are taken one by one. In the end they read, and none is lost.
func openDribble(t *testing.T, g *lab.Guest, conns int) (check func()) {
	const each = 18_000
	accepted := make(chan *net.TCPConn)
	over := make(chan struct{})
	at := listenInet(t, func(c *net.TCPConn) { accepted <- c; <-over })
	t.Cleanup(func() { close(over) })
	var readers, writers []*net.TCPConn
	for range conns {
		r := mustDial(t, g, at.String())
		r.SetReadBuffer(1) // the least that the kernel gives: it takes little
		readers = append(readers, r)
		c := <-accepted
		c.SetDeadline(time.Now().Add(commandTimeout))
		writers = append(writers, c)
	}
	for n := range each {
		for _, c := range writers {
			if _, err := c.Write([]byte{byte(n)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return func() {
		for i, c := range readers {
			b := make([]byte, each)
			c.SetReadDeadline(time.Now().Add(commandTimeout))
			if n, err := io.ReadFull(c, b); err != nil {
				t.Fatalf("reader %d: %d bytes, %v", i, n, err)
			}
			for n := range b {
				if b[n] != byte(n) {
					t.Fatalf("reader %d: byte %d is %d, want %d", i, n, b[n], byte(n))
				}
			}
		}
	}
}

// kernelBuffer is the size in bytes of the programs' own buffers, which would
// otherwise grow to several MiB each, until the kernel is short of memory for TCP:
// all connections are slow then, also those of the machine itself.
const kernelBuffer = 64 << 10

// sendOn sends without end until c is closed.
func sendOn(c *net.TCPConn) {
	c.SetWriteBuffer(kernelBuffer)
	for b := make([]byte, kernelBuffer); ; {
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

// openSleepers has a server send without end to guests that read nothing.
func openSleepers(t *testing.T, g *lab.Guest, conns int) (check func()) {
	at := listenInet(t, sendOn)
	for range conns {
		mustDial(t, g, at.String())
	}
	return func() { readOne(t, g, at.String()) }
}

// openDozers is the same with guests that read a good deal first.
func openDozers(t *testing.T, g *lab.Guest, conns int) (check func()) {
	at := listenInet(t, sendOn)
	var wg sync.WaitGroup
	for range conns {
		c := mustDial(t, g, at.String())
		wg.Go(func() {
			if n, err := io.CopyN(io.Discard, c, 3<<20); err != nil {
				t.Errorf("%d bytes, %v", n, err)
			}
		})
	}
	wg.Wait()
	return func() { readOne(t, g, at.String()) }
}

// readOne sees that a new connection has data beside the ones that sleep.
func readOne(t *testing.T, g *lab.Guest, at string) {
	c := mustDial(t, g, at)
	start := time.Now()
	c.SetReadDeadline(start.Add(commandTimeout))
	const size = 256 << 20
	if n, err := io.CopyN(io.Discard, c, size); err != nil {
		t.Fatalf("a reader beside those that sleep: %d bytes, %v", n, err)
	}
	t.Logf("a reader beside them: %.1f Gbit/s", size*8/time.Since(start).Seconds()/1e9)
}

// openWriters has guests write without end to a server that reads nothing.
func openWriters(t *testing.T, g *lab.Guest, conns int) (check func()) {
	return openWritersTo(t, g, conns, 0)
}

// openTired is the same with a server that reads a good deal first.
func openTired(t *testing.T, g *lab.Guest, conns int) (check func()) {
	return openWritersTo(t, g, conns, 3<<20)
}

func openWritersTo(t *testing.T, g *lab.Guest, conns int, reads int64) (check func()) {
	over := make(chan struct{})
	at := listenInet(t, func(c *net.TCPConn) {
		c.SetReadBuffer(kernelBuffer)
		io.CopyN(io.Discard, c, reads)
		<-over
	})
	t.Cleanup(func() { close(over) })
	for range conns {
		go sendOn(mustDial(t, g, at.String()))
	}
	return func() {
		const size = 256 << 20
		got := make(chan int64, 1)
		sink := listenInet(t, func(c *net.TCPConn) {
			n, _ := io.CopyN(io.Discard, c, size)
			got <- n
		})
		start := time.Now()
		go sendOn(mustDial(t, g, sink.String()))
		select {
		case n := <-got:
			if n != size {
				t.Fatalf("a writer beside them: %d bytes, want %d", n, size)
			}
			t.Logf("a writer beside them: %.1f Gbit/s", size*8/time.Since(start).Seconds()/1e9)
		case <-time.After(commandTimeout):
			t.Fatal("a writer beside them got stuck")
		}
	}
}

// kernelTCP is how much memory the kernel has in use for TCP, in all namespaces,
// and whether it is short of it, which makes all connections slow.
func kernelTCP(t *testing.T) (mib int, short bool) {
	t.Helper()
	b, err := os.ReadFile("/proc/net/protocols")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 4 && f[0] == "TCP" {
			pages, err := strconv.Atoi(f[3])
			if err != nil {
				t.Fatal(err)
			}
			return pages * os.Getpagesize() >> 20, f[4] == "yes"
		}
	}
	t.Fatalf("no TCP in %q", b)
	return 0, false
}
