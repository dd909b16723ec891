package outbound

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// connectResult is what became of a connect(2), after epoll events: Errno is 0
// when it is connected, EALREADY when that is not known yet. Who said so is part
// of it if it was an ICMP message.
//
// An ICMP error about a SYN goes into the socket's error queue first, which
// raises EPOLLERR; only then the kernel sets the socket's error and closes it.
// In between SO_ERROR is 0, as for a socket that is connected. And when a
// system call holds the socket just then, the kernel does neither, and would
// have us wait for the answer to its next SYN. So the queue decides.
//
// Source: tcp_v4_err and tcp_v6_err of Linux; ip(7), IP_RECVERR.
func connectResult(fd int, events uint32) hostsock.Error {
	closed := events&poll.HUp != 0
	if events&poll.Out != 0 && !closed {
		return hostsock.Error{}
	}
	if e, ok := queuedError(fd); ok {
		return e
	}
	if errno := socketError(fd); errno != 0 {
		return hostsock.Error{Errno: errno}
	}
	if closed {
		return hostsock.Error{Errno: unix.ECONNABORTED} // by whatever: the guest gets RST
	}
	return hostsock.Error{Errno: unix.EALREADY}
}

// tellErrors makes a socket that connects to a keep who refused it, and why:
// over IPv4 the kernel does so anyhow, over IPv6 where it is asked to. But once
// it is connected the same option would make passing trouble on the path an
// error of the connection (ip(7), IP_RECVERR).
func tellErrors(fd int, a netip.Addr, on bool) {
	if !a.Is6() {
		return
	}
	value := 0
	if on {
		value = 1
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVERR, value)
}

// socketError is the pending error of a socket. Asking clears it.
func socketError(fd int) unix.Errno {
	v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return errnoOf(err)
	}
	return unix.Errno(v)
}

// maxQueued is how many entries of an error queue are looked at.
const maxQueued = 16

// queuedError takes the first ICMP error out of a socket's error queue.
func queuedError(fd int) (hostsock.Error, bool) {
	var quote [1]byte // of the SYN, which is known
	for range maxQueued {
		e, errno := hostsock.RecvErr(fd, quote[:])
		if errno != 0 {
			break
		}
		if e.Errno != 0 && (e.Origin == unix.SO_EE_ORIGIN_ICMP || e.Origin == unix.SO_EE_ORIGIN_ICMP6) {
			return e, true
		}
	}
	return hostsock.Error{}, false
}
