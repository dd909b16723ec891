package main

import (
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// exchanges is what pingPong found.
type exchanges struct {
	rate float64 // answers each second
	p99  float64 // µs
}

// lost is after how long without any answer the requests are sent again.
const lost = 200 * time.Millisecond

// pingPong sends request on each socket and, when an answer comes, the next
// one, for the given time after a tenth of it. One thread does it all.
func pingPong(fds []int, request []byte, length time.Duration) (exchanges, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	events, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return exchanges{}, err
	}
	defer unix.Close(events)
	sent := make(map[int]time.Time, len(fds))
	send := func(fd int) error {
		sent[fd] = time.Now()
		_, err := unix.Write(fd, request)
		return err
	}
	for _, fd := range fds {
		if err := watch(events, fd); err != nil {
			return exchanges{}, err
		}
		if err := send(fd); err != nil {
			return exchanges{}, err
		}
	}
	var took []time.Duration
	begin := time.Now().Add(length / 10)
	end := begin.Add(length)
	ready := make([]unix.EpollEvent, len(fds))
	answer := make([]byte, 65536)
	for time.Now().Before(end) {
		n, err := unix.EpollWait(events, ready, int(lost.Milliseconds()))
		if err != nil && err != unix.EINTR {
			return exchanges{}, err
		}
		if n == 0 { // datagrams may be lost, answers to a stream may not
			for _, fd := range fds {
				if err := send(fd); err != nil {
					return exchanges{}, err
				}
			}
		}
		for i := range max(n, 0) {
			fd := int(ready[i].Fd)
			got, err := unix.Read(fd, answer)
			if err != nil {
				return exchanges{}, err
			}
			if got == 0 {
				return exchanges{}, unix.ECONNRESET
			}
			if now := time.Now(); now.After(begin) {
				took = append(took, now.Sub(sent[fd]))
			}
			if err := send(fd); err != nil {
				return exchanges{}, err
			}
		}
	}
	if len(took) == 0 {
		return exchanges{}, unix.ETIMEDOUT
	}
	return exchanges{rate: float64(len(took)) / length.Seconds(), p99: percentile99(took)}, nil
}

// percentile99 is in µs.
func percentile99(took []time.Duration) float64 {
	slices.Sort(took)
	return float64(took[len(took)*99/100].Nanoseconds()) / 1e3
}
