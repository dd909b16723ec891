package hostsock

import (
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// Names are both ends of a socket; the zero AddrPort for one that it has not.
func Names(fd int) (local, remote netip.AddrPort) {
	if sa, err := unix.Getsockname(fd); err == nil {
		local = AddrPort(sa)
	}
	if sa, err := unix.Getpeername(fd); err == nil {
		remote = AddrPort(sa)
	}
	return local, remote
}

// AddrPort converts an IP socket address. An IPv4 peer of an IPv6 socket is an
// IPv4 peer.
func AddrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		a := netip.AddrFrom16(sa.Addr).Unmap()
		if sa.ZoneId != 0 {
			a = a.WithZone(strconv.FormatUint(uint64(sa.ZoneId), 10))
		}
		return netip.AddrPortFrom(a, uint16(sa.Port))
	}
	return netip.AddrPort{}
}
