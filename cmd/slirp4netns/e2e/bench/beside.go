package main

import (
	"net"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// sleepers is how many readers sleep.
const sleepers = 4

// besideASleeper is the throughput in of one connection while others have
// data that their guests do not read, and the resident memory then.
func besideASleeper(b *bench, s *subject) [][]float64 {
	var rate, rss float64
	b.connected(s, setup{mtu: latencyMTU}, func(at *place) {
		for range sleepers {
			var fd int
			if err := at.ns.Do(func() (err error) { fd, err = at.dial(sourcePort); return err }); err != nil {
				b.p.Fatalf("%s: %v", s.name, err)
			}
			defer unix.Close(fd)
		}
		rate = b.transfer(at, "in", 1).gigabits()
		rss, _ = b.memory(at.pid)
	})
	return [][]float64{{rate}, {rss}}
}

// besideClients is the throughput out while clients of the control socket
// are connected that send nothing.
func besideClients(clients int) func(*bench, *subject) [][]float64 {
	return func(b *bench, s *subject) [][]float64 {
		p := lab.NewProgram("bench")
		defer p.Close()
		socket := filepath.Join(lab.TempDir(p, lab.OrdinaryUID), "api.sock")
		var rate float64
		b.connected(s, setup{mtu: latencyMTU, args: []string{"-a", socket}}, func(at *place) {
			for range clients {
				c, err := net.Dial("unix", socket)
				if err != nil {
					b.p.Fatalf("%v", err)
				}
				defer c.Close()
			}
			rate = b.transfer(at, "out", 1).gigabits()
		})
		return [][]float64{{rate}}
	}
}

// gapTime is how long the longest gap is looked for.
const gapTime = 30 * time.Second

// longestGap is the longest time in ms in which a transfer at MTU 65520
// brought nothing.
func longestGap(b *bench, s *subject) [][]float64 {
	var longest time.Duration
	b.connected(s, setup{mtu: 65520}, func(at *place) {
		err := at.ns.Do(func() error {
			fd, err := at.dial(sourcePort)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			buf := make([]byte, 256<<10)
			start := time.Now()
			for last := start; time.Since(start) < gapTime; {
				n, err := unix.Read(fd, buf)
				if err == unix.EINTR {
					continue
				}
				if err != nil || n == 0 {
					return unix.ECONNRESET
				}
				now := time.Now()
				longest = max(longest, now.Sub(last))
				last = now
			}
			return nil
		})
		if err != nil {
			b.p.Fatalf("%s: %v", s.name, err)
		}
	})
	return [][]float64{{float64(longest.Microseconds()) / 1e3}}
}
