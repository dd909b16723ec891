package outbound

import (
	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
)

// icmpCode is the code of the destination-unreachable message for an error of
// connect(2) or sendto(2) on the host. It reports false for errors that are
// met with silence: the guest's own timers are then as good as the host's.
func icmpCode(errno unix.Errno) (code uint8, ok bool) {
	switch errno {
	case unix.ETIMEDOUT, unix.EAGAIN, unix.EINTR:
		return 0, false
	case unix.ENOBUFS, unix.ENOMEM:
		return 0, false // a queue is full, and will not be for long
	case unix.ECONNREFUSED:
		return datagram.CodePortUnreachable, true
	case unix.EHOSTUNREACH, unix.EHOSTDOWN:
		return datagram.CodeHostUnreachable, true
	case unix.EPERM, unix.EACCES:
		return datagram.CodeAdminProhibited, true
	case unix.ENOPROTOOPT, unix.EPROTONOSUPPORT:
		return datagram.CodeProtocolUnreachable, true
	}
	// ENETUNREACH, ENETDOWN, and what is the host's own trouble: no
	// descriptors (EMFILE), no ports (EADDRNOTAVAIL).
	return datagram.CodeNetUnreachable, true
}
