// Package hostsock is what the data plane does with datagram sockets of the
// host, without an allocation for each datagram: send, receive, and read the
// error queue (IP_RECVERR, ip(7)).
package hostsock

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MaxDatagram is the size in bytes of a buffer that any UDP datagram fits in.
const MaxDatagram = 65535

// rawAddr is room for an IPv4 or IPv6 socket address.
type rawAddr [unix.SizeofSockaddrInet6]byte

// put fills in ap and returns the address's size.
func (r *rawAddr) put(ap netip.AddrPort) uintptr {
	clear(r[:])
	if a := ap.Addr(); a.Is4() {
		binary.NativeEndian.PutUint16(r[0:], unix.AF_INET)
		binary.BigEndian.PutUint16(r[2:], ap.Port())
		b := a.As4()
		copy(r[4:], b[:])
		return unix.SizeofSockaddrInet4
	}
	binary.NativeEndian.PutUint16(r[0:], unix.AF_INET6)
	binary.BigEndian.PutUint16(r[2:], ap.Port())
	b := ap.Addr().As16()
	copy(r[8:], b[:])
	return unix.SizeofSockaddrInet6
}

// get reads an address back; the zero AddrPort when it is of another family.
func get(r []byte) netip.AddrPort {
	if len(r) < unix.SizeofSockaddrInet4 {
		return netip.AddrPort{}
	}
	port := binary.BigEndian.Uint16(r[2:])
	switch binary.NativeEndian.Uint16(r) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(r[4:8])), port)
	case unix.AF_INET6:
		if len(r) >= unix.SizeofSockaddrInet6 {
			return netip.AddrPortFrom(netip.AddrFrom16([16]byte(r[8:24])).Unmap(), port)
		}
	}
	return netip.AddrPort{}
}

// SendTo sends b to ap; the zero AddrPort stands for a connected socket. ctrl
// is ancillary data and may be nil.
func SendTo(fd int, b []byte, ap netip.AddrPort, ctrl []byte) unix.Errno {
	var addr rawAddr
	var msg unix.Msghdr
	if ap.IsValid() {
		msg.Namelen = uint32(addr.put(ap))
		msg.Name = &addr[0]
	}
	var iov unix.Iovec
	if len(b) > 0 {
		iov.Base = &b[0]
		iov.SetLen(len(b))
	}
	msg.Iov = &iov
	msg.SetIovlen(1)
	if len(ctrl) > 0 {
		msg.Control = &ctrl[0]
		msg.SetControllen(len(ctrl))
	}
	for {
		_, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
		if errno != unix.EINTR {
			return errno
		}
	}
}

// RecvFrom receives one datagram into b.
func RecvFrom(fd int, b []byte) (n int, from netip.AddrPort, errno unix.Errno) {
	var addr rawAddr
	var iov unix.Iovec
	iov.Base = &b[0]
	iov.SetLen(len(b))
	msg := unix.Msghdr{Name: &addr[0], Namelen: uint32(len(addr)), Iov: &iov}
	msg.SetIovlen(1)
	n, errno = recvmsg(fd, &msg, unix.MSG_DONTWAIT)
	if errno != 0 {
		return 0, netip.AddrPort{}, errno
	}
	return n, get(addr[:msg.Namelen]), 0
}

// RecvTTL is RecvFrom for a socket that has IP_RECVTTL set. ttl is 0 when the
// kernel did not tell.
func RecvTTL(fd int, b []byte) (n int, from netip.AddrPort, ttl uint8, errno unix.Errno) {
	var addr rawAddr
	var ctrl [64]byte
	var iov unix.Iovec
	iov.Base = &b[0]
	iov.SetLen(len(b))
	msg := unix.Msghdr{Name: &addr[0], Namelen: uint32(len(addr)), Iov: &iov, Control: &ctrl[0]}
	msg.SetIovlen(1)
	msg.SetControllen(len(ctrl))
	n, errno = recvmsg(fd, &msg, unix.MSG_DONTWAIT)
	if errno != 0 {
		return 0, netip.AddrPort{}, 0, errno
	}
	cmsgs, err := unix.ParseSocketControlMessage(ctrl[:msg.Controllen])
	if err == nil {
		for _, c := range cmsgs {
			v4 := c.Header.Level == unix.IPPROTO_IP && c.Header.Type == unix.IP_TTL
			v6 := c.Header.Level == unix.IPPROTO_IPV6 && c.Header.Type == unix.IPV6_HOPLIMIT
			if (v4 || v6) && len(c.Data) >= 4 {
				ttl = uint8(binary.NativeEndian.Uint32(c.Data))
			}
		}
	}
	return n, get(addr[:msg.Namelen]), ttl, 0
}

func recvmsg(fd int, msg *unix.Msghdr, flags uintptr) (int, unix.Errno) {
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(msg)), flags)
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

// Error is one entry of a socket's error queue.
type Error struct {
	Errno  unix.Errno
	Origin uint8 // SO_EE_ORIGIN_LOCAL, SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6
	Type   uint8 // of the ICMP message
	Code   uint8
	Info   uint32         // the path MTU of EMSGSIZE
	Dst    netip.AddrPort // where the datagram was sent
	// Offender sent the ICMP message; the zero Addr when nobody did.
	Offender netip.Addr
	Payload  []byte // the beginning of the datagram; part of the caller's b
}

// sockExtendedErr is the size in bytes of struct sock_extended_err
// (linux/errqueue.h).
const sockExtendedErr = 16

// RecvErr takes one entry off the error queue. b receives the payload.
func RecvErr(fd int, b []byte) (Error, unix.Errno) {
	var addr rawAddr
	var ctrl [256]byte
	var iov unix.Iovec
	iov.Base = &b[0]
	iov.SetLen(len(b))
	msg := unix.Msghdr{Name: &addr[0], Namelen: uint32(len(addr)), Iov: &iov, Control: &ctrl[0]}
	msg.SetIovlen(1)
	msg.SetControllen(len(ctrl))
	n, errno := recvmsg(fd, &msg, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	if errno != 0 {
		return Error{}, errno
	}
	e := Error{Dst: get(addr[:msg.Namelen]), Payload: b[:n]}
	cmsgs, err := unix.ParseSocketControlMessage(ctrl[:msg.Controllen])
	if err != nil {
		return e, 0
	}
	for _, c := range cmsgs {
		v4 := c.Header.Level == unix.IPPROTO_IP && c.Header.Type == unix.IP_RECVERR
		v6 := c.Header.Level == unix.IPPROTO_IPV6 && c.Header.Type == unix.IPV6_RECVERR
		if !v4 && !v6 || len(c.Data) < sockExtendedErr {
			continue
		}
		e.Errno = unix.Errno(binary.NativeEndian.Uint32(c.Data))
		e.Origin, e.Type, e.Code = c.Data[4], c.Data[5], c.Data[6]
		e.Info = binary.NativeEndian.Uint32(c.Data[8:])
		e.Offender = get(c.Data[sockExtendedErr:]).Addr()
	}
	return e, 0
}
