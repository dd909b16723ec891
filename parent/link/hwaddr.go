package link

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hwAddr is the Ethernet address in an ifreq that SIOCGIFHWADDR filled in: the
// data of the struct sockaddr after the interface's name.
func hwAddr(ifr *unix.Ifreq) MAC {
	const offset = unix.IFNAMSIZ + 2 // name, sa_family
	raw := (*[offset + 6]byte)(unsafe.Pointer(ifr))
	return MAC(raw[offset:])
}
