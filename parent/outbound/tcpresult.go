package outbound

import (
	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// connectResult is what became of a connect(2), after epoll events: 0 when it
// is connected, EALREADY when that is not known yet.
//
// An ICMP error about a SYN goes into the socket's error queue first, which
// raises EPOLLERR; only then the kernel sets the socket's error and closes it.
// In between SO_ERROR is 0, as for a socket that is connected. And when a
// system call holds the socket just then, the kernel does neither, and would
// have us wait for the answer to its next SYN. So the queue decides.
//
// Source: tcp_v4_err and tcp_v6_err of Linux; ip(7), IP_RECVERR.
func connectResult(fd int, events uint32) unix.Errno {
	closed := events&poll.HUp != 0
	if events&poll.Out != 0 && !closed {
		return 0
	}
	if errno := socketError(fd); errno != 0 {
		return errno
	}
	if errno := queuedError(fd); errno != 0 {
		return errno
	}
	if closed {
		return unix.ECONNABORTED // by whatever: the guest gets RST
	}
	return unix.EALREADY
}

// socketError is the pending error of a socket. Asking clears it.
func socketError(fd int) unix.Errno {
	v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return errnoOf(err)
	}
	return unix.Errno(v)
}

// queuedError takes an error out of a socket's error queue; 0: there is none.
func queuedError(fd int) unix.Errno {
	var quote [1]byte // of the SYN, which is known
	e, errno := hostsock.RecvErr(fd, quote[:])
	if errno != 0 {
		return 0
	}
	return e.Errno
}
