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
	p50  float64 // µs
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
	e := exchanges{rate: float64(len(took)) / length.Seconds()}
	e.p50, e.p99 = percentiles(took)
	return e, nil
}

// percentiles are the median and the 99th percentile, in µs.
func percentiles(took []time.Duration) (p50, p99 float64) {
	slices.Sort(took)
	at := func(percent int) float64 { return float64(took[len(took)*percent/100].Nanoseconds()) / 1e3 }
	return at(50), at(99)
}
