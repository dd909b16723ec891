package hostsock

import (
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// Family is the address family of a socket for a.
func Family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// Sockaddr converts ap for bind(2) and connect(2).
func Sockaddr(ap netip.AddrPort) unix.Sockaddr {
	a := ap.Addr()
	if a.Is4() {
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: a.As4()}
	}
	return &unix.SockaddrInet6{Port: int(ap.Port()), Addr: a.As16(), ZoneId: zone(a.Zone())}
}

// zone is the interface index of the scope in an address such as fe80::1%eth0.
// An interface that is not there (yet) gives 0, and the system call fails.
func zone(z string) uint32 {
	if z == "" {
		return 0
	}
	if ifi, err := net.InterfaceByName(z); err == nil {
		return uint32(ifi.Index)
	}
	n, err := strconv.ParseUint(z, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}
