package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// settle is how long something does nothing before it is watched.
const settle = 2 * time.Second

// afterward is how long after the end of its connections a program's memory is
// looked at: 60 s, as long as -long is not changed.
func (b *bench) afterward() time.Duration { return 2 * b.o.long }

// idle is the memory in MiB of a program that nobody uses, RSS and PSS, and
// how often it wakes up in a second.
func idle(b *bench, s *subject) [][]float64 {
	var rss, pss, wakeUps float64
	b.connected(s, setup{mtu: latencyMTU}, func(at *place) {
		time.Sleep(settle)
		before := b.switches(at.pids[0])
		time.Sleep(b.o.long)
		wakeUps = (b.switches(at.pids[0]) - before) / b.o.long.Seconds()
		rss, pss = b.memory(at.pids[0])
	})
	return [][]float64{{rss}, {pss}, {wakeUps}}
}

// holding is the resident memory in MiB with connections that have carried a
// byte each way, and a minute after they were closed.
func holding(connections int) method {
	return func(b *bench, s *subject) [][]float64 {
		var open, closed float64
		b.inside(s, func(at *place) error {
			fds := make([]int, 0, connections)
			closeAll := func() {
				for _, fd := range fds {
					unix.Close(fd)
				}
				fds = nil
			}
			defer closeAll()
			for range connections {
				fd, err := at.dial(holdPort)
				if err != nil {
					return err
				}
				fds = append(fds, fd)
				if err := exchange(fd); err != nil {
					return err
				}
			}
			time.Sleep(settle)
			open, _ = b.memory(at.pids[0])
			if b.o.guard {
				return nil // which does not wait for so long
			}
			closeAll()
			time.Sleep(b.afterward())
			closed, _ = b.memory(at.pids[0])
			return nil
		})
		if b.o.guard {
			return [][]float64{{open}, nil}
		}
		return [][]float64{{open}, {closed}}
	}
}
