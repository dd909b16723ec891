package outbound

import (
	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
)

// unreachable is the message that packet, which the guest sent, cannot be
// delivered. code is that of ICMPv4.
func (p *Policy) unreachable(code uint8, packet []byte) datagram.ICMPError {
	if packet[0]>>4 != 6 {
		return datagram.ICMPError{Type: datagram.TypeUnreachable, Code: code, Offender: p.Gateway}
	}
	return datagram.ICMPError{Type: datagram.Type6Unreachable, Code: icmp6Code(code), Offender: p.Gateway6}
}

// timeExceeded is the message that packet has made its last hop.
func (p *Policy) timeExceeded(packet []byte) datagram.ICMPError {
	if packet[0]>>4 != 6 {
		return datagram.ICMPError{Type: datagram.TypeTimeExceeded, Offender: p.Gateway}
	}
	return datagram.ICMPError{Type: datagram.Type6TimeExceeded, Offender: p.Gateway6}
}

// icmp6Code is the code of ICMPv6 for a destination-unreachable code of ICMPv4
// (RFC 7915, section 4.2).
func icmp6Code(code uint8) uint8 {
	switch code {
	case datagram.CodeHostUnreachable:
		return datagram.Code6AddressUnreachable
	case datagram.CodePortUnreachable, datagram.CodeProtocolUnreachable:
		return datagram.Code6PortUnreachable
	case datagram.CodeAdminProhibited:
		return datagram.Code6AdminProhibited
	}
	return datagram.Code6NoRoute
}

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
