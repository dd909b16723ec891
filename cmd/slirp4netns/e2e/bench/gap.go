package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// gapMTU is the MTU at which the C program stands still for seconds.
const gapMTU = 65520

// longestGap is the longest time in ms in which the receiver of one transfer
// in that way got nothing, from its start on.
func longestGap(way string) method {
	return func(b *bench, s *subject) [][]float64 {
		var longest time.Duration
		b.connected(s, setup{mtu: gapMTU, forward: way == "forwarded"}, func(at *place) {
			var err error
			if way == "in" {
				err = at.ns.Do(func() error {
					fd, err := at.dial(sourcePort)
					if err != nil {
						return err
					}
					defer unix.Close(fd)
					longest, err = longestWait(fd, b.o.long)
					return err
				})
			} else {
				longest, err = gapOfSender(at, way, b.o.long)
			}
			if err != nil {
				b.p.Fatalf("%v", err)
			}
		})
		return [][]float64{{float64(longest.Microseconds()) / 1e3}}
	}
}

// gapOfSender is that of a transfer whose receiver listens: on the host for
// "out", in the guest for "forwarded".
func gapOfSender(at *place, way string, length time.Duration) (longest time.Duration, err error) {
	from, to, server, port, listenAt := at, host, at.gateway, gapPort, gapPort
	if way == "forwarded" && at.guest != nil {
		from, to, server, port, listenAt = host, at, "127.0.0.1", forwardPort, iperfPort
	}
	var l int
	if err := to.ns.Do(func() (err error) { l, err = listen("0.0.0.0", listenAt); return err }); err != nil {
		return 0, err
	}
	defer unix.Close(l)
	sender := make(chan error, 1)
	go func() { sender <- from.ns.Do(func() error { return sendForEver(server, port) }) }()
	if err := awaitInput(l, standstill.Nanoseconds()); err != nil {
		return 0, fmt.Errorf("nobody connects: %w", err)
	}
	fd, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
	if err != nil {
		return 0, err
	}
	longest, err = longestWait(fd, length)
	unix.Close(fd) // which ends the sender
	if failed := <-sender; err == nil && failed != nil {
		err = failed
	}
	return longest, err
}

// sendForEver sends to a server until that one closes.
func sendForEver(server string, port int) error {
	fd, err := dialTo(server, port)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	writeForEver(fd)
	return nil
}

// longestWait reads from fd for a time and returns the longest in which
// nothing came, the one that is not over in the end included.
func longestWait(fd int, length time.Duration) (longest time.Duration, err error) {
	buf := make([]byte, 256<<10)
	start := time.Now()
	for last := start; ; {
		left := length - time.Since(start)
		if left <= 0 {
			return max(longest, time.Since(last)), nil
		}
		err := awaitInput(fd, left.Nanoseconds())
		if err == unix.ETIMEDOUT {
			continue
		}
		var n int
		if err == nil {
			n, err = unix.Read(fd, buf)
		}
		if err == unix.EINTR {
			continue
		}
		if err == nil && n == 0 {
			err = unix.ECONNRESET
		}
		if err != nil {
			return 0, fmt.Errorf("after %v: %w", time.Since(start), err)
		}
		now := time.Now()
		longest = max(longest, now.Sub(last))
		last = now
	}
}

// awaitInput waits until fd can be read, for so many ns.
func awaitInput(fd int, ns int64) error {
	timeout := unix.NsecToTimespec(ns)
	for {
		n, err := unix.Ppoll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, &timeout, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n == 0:
			return unix.ETIMEDOUT
		default:
			return nil
		}
	}
}
