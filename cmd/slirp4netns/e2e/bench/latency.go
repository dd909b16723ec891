package main

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// How often a latency is taken in one round, and how often before that
// without looking at the clock.
const (
	requests    = 5000
	connections = 1000
	warmUp      = 200
)

// latencyMTU is the default MTU; one byte fits into any.
const latencyMTU = 1500

// requestResponse is the mean time in µs of a byte to the host and back on
// one connection. Both ends block in system calls: what is measured is not
// the scheduler of Go.
func requestResponse(b *bench, binary string) []float64 {
	return b.timed(binary, func() (time.Duration, error) {
		fd, err := dialBytes()
		if err != nil {
			return 0, err
		}
		defer unix.Close(fd)
		for range warmUp {
			if err := exchange(fd); err != nil {
				return 0, err
			}
		}
		start := time.Now()
		for range requests {
			if err := exchange(fd); err != nil {
				return 0, err
			}
		}
		return time.Since(start) / requests, nil
	})
}

// connectClose is the mean time in µs of connecting, a byte each way, and
// closing.
func connectClose(b *bench, binary string) []float64 {
	return b.timed(binary, func() (time.Duration, error) {
		var start time.Time
		for i := range warmUp + connections {
			if i == warmUp {
				start = time.Now()
			}
			fd, err := dialBytes()
			if err != nil {
				return 0, err
			}
			err = exchange(fd)
			unix.Close(fd)
			if err != nil {
				return 0, err
			}
		}
		return time.Since(start) / connections, nil
	})
}

// timed runs fn on a thread inside a connected guest.
func (b *bench) timed(binary string, fn func() (time.Duration, error)) (samples []float64) {
	b.connected(binary, latencyMTU, func(g *lab.Guest, _ *lab.Slirp) {
		if err := g.Do(func() error {
			d, err := fn()
			samples = []float64{float64(d.Nanoseconds()) / 1e3}
			return err
		}); err != nil {
			b.p.Fatalf("%s: %v", binary, err)
		}
	})
	return samples
}

// dialBytes connects to the byte server from inside the guest.
func dialBytes() (int, error) {
	fd, err := byteSocket()
	if err != nil {
		return -1, err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: bytePort, Addr: gateway}); err != nil {
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

// serveBytes echoes on 127.0.0.1, one connection after the other, for ever.
func serveBytes(port int) error {
	l, err := byteSocket()
	if err != nil {
		return err
	}
	if err := unix.Bind(l, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	if err := unix.Listen(l, 16); err != nil {
		return err
	}
	go func() {
		runtime.LockOSThread()
		for {
			if fd, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC); err == nil {
				unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
				echoBytes(fd)
				unix.Close(fd)
			}
		}
	}()
	return nil
}

// echoBytes returns what comes until the end.
func echoBytes(fd int) {
	var buf [16]byte
	for {
		n, err := unix.Read(fd, buf[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return
		}
		if _, err := unix.Write(fd, buf[:n]); err != nil {
			return
		}
	}
}
