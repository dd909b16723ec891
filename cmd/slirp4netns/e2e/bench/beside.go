package main

import (
	"net"
	"path/filepath"

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
				b.p.Fatalf("%v", err)
			}
			defer unix.Close(fd)
		}
		rate = b.transfer(at, "in", 1).gigabits()
		rss, _ = b.memory(at.pids[0])
	})
	return [][]float64{{rate}, {rss}}
}

// besideClients is the throughput out while clients of the control socket
// are connected that send nothing.
func besideClients(clients int) method {
	return func(b *bench, s *subject) [][]float64 {
		p := b.p.part()
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
