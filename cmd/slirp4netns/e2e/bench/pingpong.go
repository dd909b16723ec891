package main

import (
	"errors"
	"fmt"
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

// asking is what pingPong sends, and what has to come back.
type asking struct {
	// request is what is sent as number n.
	request func(n uint16) []byte
	// check fails for an answer that is not the one of number n.
	check func(n uint16, answer []byte) error
	// mayBeLost is for datagrams that nobody else sends again: after 200 ms
	// in which nothing came on any socket, new ones are sent on all, and what
	// is not the answer of the last one does not count. Else that is an error,
	// and so is a request that is not answered in 2 s.
	mayBeLost bool
}

// How long pingPong waits: for any answer before what may be lost is sent
// again, and for all answers in the end.
const (
	lost     = 200 * time.Millisecond
	patience = 2 * time.Second
)

// pingPong sends a request on each socket and, when the answer comes, the next
// one, for the given time after a tenth of it. One thread does it all.
func pingPong(fds []int, ask asking, length time.Duration) (exchanges, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	events, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return exchanges{}, err
	}
	defer unix.Close(events)
	p := pinging{ask: ask, sent: make(map[int]request, len(fds))}
	for _, fd := range fds {
		if err := watch(events, fd); err != nil {
			return exchanges{}, err
		}
		if err := p.send(fd); err != nil {
			return exchanges{}, err
		}
	}
	begin := time.Now().Add(length / 10)
	end := begin.Add(length)
	ready := make([]unix.EpollEvent, len(fds))
	for last := time.Now(); ; {
		now := time.Now()
		if !now.Before(end) && (len(p.sent) == 0 || ask.mayBeLost) {
			break
		}
		if now.Sub(last) > patience {
			return exchanges{}, fmt.Errorf("%d of %d requests under way were not answered in %v", len(p.sent), len(fds), patience)
		}
		n, err := unix.EpollWait(events, ready, int(lost.Milliseconds()))
		if err != nil && err != unix.EINTR {
			return exchanges{}, err
		}
		if n == 0 && ask.mayBeLost {
			for _, fd := range fds {
				if err := p.send(fd); err != nil {
					return exchanges{}, err
				}
			}
		}
		for i := range max(n, 0) {
			fd := int(ready[i].Fd)
			answered, err := p.receive(fd, begin, end)
			if err != nil {
				return exchanges{}, err
			}
			if last = time.Now(); answered && last.Before(end) {
				if err := p.send(fd); err != nil {
					return exchanges{}, err
				}
			}
		}
	}
	if len(p.took) == 0 {
		return exchanges{}, errors.New("no request was answered in time")
	}
	e := exchanges{rate: float64(len(p.took)) / length.Seconds()}
	e.p50, e.p99 = percentiles(p.took)
	return e, nil
}

// pinging is the state of pingPong.
type pinging struct {
	ask  asking
	n    uint16
	sent map[int]request // by socket
	took []time.Duration
	buf  [65536]byte
}

// request is one that is under way.
type request struct {
	n  uint16
	at time.Time
}

// send sends the next request.
func (p *pinging) send(fd int) error {
	p.n++
	p.sent[fd] = request{p.n, time.Now()}
	_, err := unix.Write(fd, p.ask.request(p.n))
	return err
}

// receive takes an answer, and counts it if it came in time.
func (p *pinging) receive(fd int, begin, end time.Time) (answered bool, err error) {
	got, err := unix.Read(fd, p.buf[:])
	if err != nil {
		return false, err
	}
	if got == 0 {
		return false, unix.ECONNRESET
	}
	r, ok := p.sent[fd]
	if !ok {
		err = fmt.Errorf("%d bytes that nobody asked for", got)
	} else {
		err = p.ask.check(r.n, p.buf[:got])
	}
	if err != nil && p.ask.mayBeLost {
		return false, nil
	} else if err != nil {
		return false, err
	}
	delete(p.sent, fd)
	if now := time.Now(); now.After(begin) && now.Before(end) {
		p.took = append(p.took, now.Sub(r.at))
	}
	return true, nil
}

// percentiles are the median and the 99th percentile, in µs.
func percentiles(took []time.Duration) (p50, p99 float64) {
	slices.Sort(took)
	at := func(percent int) float64 { return float64(took[len(took)*percent/100].Nanoseconds()) / 1e3 }
	return at(50), at(99)
}
