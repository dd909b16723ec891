package hostsock

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// Local is where a datagram arrived: which of our addresses it was sent to.
type Local struct {
	Addr netip.Addr // the zero Addr: not one that an answer could come from
	// Link is the interface's index where it is needed to send an answer,
	// which is for link-local addresses, else 0.
	Link int
	// v6 tells that the socket is an IPv6 one, whatever Addr is.
	v6 bool
}

// WantInfo prepares a socket for RecvInfo. v6 tells its address family.
func WantInfo(fd int, v6 bool) error {
	if v6 {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
}

// RecvInfo receives one datagram into b and tells where it was sent to. A
// link-local sender has the number of its interface as the zone.
func RecvInfo(fd int, b []byte) (n int, from netip.AddrPort, to Local, errno unix.Errno) {
	var addr rawAddr
	var ctrl [128]byte
	var iov unix.Iovec
	iov.Base = &b[0]
	iov.SetLen(len(b))
	msg := unix.Msghdr{Name: &addr[0], Namelen: uint32(len(addr)), Iov: &iov, Control: &ctrl[0]}
	msg.SetIovlen(1)
	msg.SetControllen(len(ctrl))
	n, errno = recvmsg(fd, &msg, unix.MSG_DONTWAIT)
	if errno != 0 {
		return 0, netip.AddrPort{}, Local{}, errno
	}
	from = get(addr[:msg.Namelen])
	h, data, _, err := unix.ParseOneSocketControlMessage(ctrl[:msg.Controllen])
	if err != nil {
		return n, from, Local{}, 0
	}
	switch {
	case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		to.Addr = netip.AddrFrom4([4]byte(data[4:8])) // ipi_spec_dst
	case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		to.v6 = true
		to.Addr = netip.AddrFrom16([16]byte(data[:16])).Unmap()
		link := int(binary.NativeEndian.Uint32(data[16:]))
		if a := from.Addr(); a.Is6() && a.IsLinkLocalUnicast() {
			to.Link = link
			from = netip.AddrPortFrom(a.WithZone(strconv.Itoa(link)), from.Port())
		}
		if to.Addr.Is6() && to.Addr.IsLinkLocalUnicast() {
			to.Link = link
		}
		if to.Addr.IsMulticast() {
			to.Addr = netip.Addr{}
		}
	}
	return n, from, to, 0
}

// Control is the ancillary data that makes a datagram leave from l; nil where
// the kernel has to choose.
func (l Local) Control() []byte {
	if !l.Addr.IsValid() && l.Link == 0 {
		return nil
	}
	if !l.v6 {
		return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: l.Addr.As4()})
	}
	info := unix.Inet6Pktinfo{Ifindex: uint32(l.Link)}
	if l.Addr.IsValid() {
		info.Addr = l.Addr.As16() // an IPv4 address as a v4-mapped one
	}
	return unix.PktInfo6(&info)
}

// Inode is the number by which ss(8) and /proc/net name a socket; 0 when fd is
// none.
func Inode(fd int) uint64 {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0
	}
	return st.Ino
}
