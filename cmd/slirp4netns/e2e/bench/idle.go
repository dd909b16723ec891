package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// How long something is watched that does nothing.
const (
	idleTime  = 30 * time.Second
	settle    = 2 * time.Second
	afterward = 60 * time.Second
)

// idle is the memory in MiB of a program that nobody uses, RSS and PSS, and
// how often it wakes up in a second.
func idle(b *bench, s *subject) [][]float64 {
	var rss, pss, wakeUps float64
	b.connected(s, setup{mtu: latencyMTU}, func(at *place) {
		time.Sleep(settle)
		before := b.switches(at.pid)
		time.Sleep(idleTime)
		wakeUps = (b.switches(at.pid) - before) / idleTime.Seconds()
		rss, pss = b.memory(at.pid)
	})
	return [][]float64{{rss}, {pss}, {wakeUps}}
}

// holding is the resident memory in MiB with connections that have carried a
// byte each way, and a minute after they were closed.
func holding(connections int) func(*bench, *subject) [][]float64 {
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
			open, _ = b.memory(at.pid)
			closeAll()
			time.Sleep(afterward)
			closed, _ = b.memory(at.pid)
			return nil
		})
		return [][]float64{{open}, {closed}}
	}
}
