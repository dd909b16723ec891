package main

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// How often a latency is taken in one round, and how often before that
// without looking at the clock.
const (
	requests = 5000
	warmUp   = 200
	parallel = 16
)

// latencyMTU is the default MTU; one byte fits into any.
const latencyMTU = 1500

// requestResponse is the time in µs of a byte to the host and back on one
// connection: its mean, median and 99th percentile. Both ends block in system calls:
// what is measured is not the scheduler of Go.
func requestResponse(b *bench, s *subject) (samples [][]float64) {
	b.inside(s, func(at *place) (err error) {
		samples, err = at.roundTrips()
		return err
	})
	return samples
}

// roundTrips is requestResponse on a thread that is here.
func (at *place) roundTrips() ([][]float64, error) {
	fd, err := at.dial(bytePort)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	took := make([]time.Duration, 0, requests)
	var start time.Time
	for i := range warmUp + requests {
		if i == warmUp {
			start = time.Now()
		}
		sent := time.Now()
		if err := exchange(fd); err != nil {
			return nil, err
		}
		if i >= warmUp {
			took = append(took, time.Since(sent))
		}
	}
	mean := float64(time.Since(start).Nanoseconds()) / requests / 1e3
	p50, p99 := percentiles(took)
	return [][]float64{{mean}, {p50}, {p99}}, nil
}

// requestResponses is the rate over several connections at once.
func requestResponses(b *bench, s *subject) [][]float64 {
	var e exchanges
	b.inside(s, func(at *place) (err error) {
		fds := make([]int, parallel)
		for i := range fds {
			if fds[i], err = at.dial(bytePort); err != nil {
				return err
			}
			defer unix.Close(fds[i])
		}
		e, err = pingPong(fds, echoOf(1), b.rate())
		return err
	})
	return [][]float64{{e.rate}, {e.p50}, {e.p99}}
}

// visitPorts is over how many ports of the server connections are spread. A port
// of the client stays taken for a minute, and to a single port of the server
// there are 14,000 before the kernel looks at each of them in vain: the rate would
// be that of its search.
const visitPorts = 64

// connectClose is how often in a second workers connect, send a byte, get
// one and close. A single failure fails the benchmark.
func connectClose(workers int) method {
	return func(b *bench, s *subject) [][]float64 {
		var done atomic.Int64
		b.inside(s, func(at *place) error {
			begin := time.Now().Add(b.rate() / 10)
			end := begin.Add(b.rate())
			errs := make([]error, workers)
			var wait sync.WaitGroup
			for i := range workers {
				wait.Go(func() {
					errs[i] = at.ns.Do(func() error {
						for n := i; ; n++ {
							if err := at.visit(visitPort + n%visitPorts); err != nil {
								return err
							}
							if now := time.Now(); now.After(end) {
								return nil
							} else if now.After(begin) {
								done.Add(1)
							}
						}
					})
				})
			}
			wait.Wait()
			for _, err := range errs {
				if err != nil {
					return err
				}
			}
			return nil
		})
		return [][]float64{{float64(done.Load()) / b.rate().Seconds()}}
	}
}

// inside runs fn on a thread inside a connected guest.
func (b *bench) inside(s *subject, fn func(at *place) error) {
	b.connected(s, setup{mtu: latencyMTU}, func(at *place) {
		if err := at.ns.Do(func() error { return fn(at) }); err != nil {
			b.p.Fatalf("%v", err)
		}
	})
}

// visit connects, exchanges a byte, and closes.
func (at *place) visit(port int) error {
	fd, err := at.dial(port)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return exchange(fd)
}

// standstill is after how long a client gives up, in connect(2), read(2) and
// write(2): a program that stands still is to fail, not to wait for ever.
const standstill = 10 * time.Second

// dial connects to a server of the host, on a thread that is here.
func (at *place) dial(port int) (int, error) { return dialTo(at.gateway, port) }

// dialTo connects to an address, on the calling thread.
func dialTo(server string, port int) (int, error) {
	fd, err := tcpSocket()
	if err != nil {
		return -1, err
	}
	// SO_SNDTIMEO would have a signal of Go's scheduler end connect(2).
	err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(standstill.Milliseconds()))
	if err == nil {
		timeout := unix.NsecToTimeval(standstill.Nanoseconds())
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout)
	}
	if err == nil {
		to := &unix.SockaddrInet4{Port: port}
		copy(to.Addr[:], net.ParseIP(server).To4())
		err = unix.Connect(fd, to)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// exchange sends a byte and waits for one.
func exchange(fd int) error {
	var one [1]byte
	if _, err := unix.Write(fd, one[:]); err != nil {
		return err
	}
	for {
		n, err := unix.Read(fd, one[:])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n == 0:
			return unix.ECONNRESET
		default:
			return nil
		}
	}
}
