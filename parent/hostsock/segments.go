package hostsock

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MaxSegments is how many datagrams SendSegments sends at most: UDP_MAX_SEGMENTS
// of Linux before 6.9.
const MaxSegments = 64

// Segments tells whether this kernel cuts one buffer into several datagrams
// (UDP_SEGMENT, udp(7); since Linux 4.18). An older one would send one large
// datagram. It must be asked once before the seccomp filter is there.
var Segments = sync.OnceValue(func() bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	_, err = unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT)
	return err == nil
})

// maxControl is room for the ancillary data of one datagram: a source address
// and a segment's size.
const maxControl = 128

// SendSegments is SendTo for up to MaxSegments datagrams at once: b is cut into
// pieces of size bytes, the last one perhaps shorter. All are sent or none.
//
// The kernel does this only where no piece has to be sent in fragments (EINVAL,
// EMSGSIZE) and the way is one that knows it (EIO).
//
// Preconditions: Segments is true, 0 < size < len(b).
func SendSegments(fd int, b []byte, size int, ap netip.AddrPort, ctrl []byte) unix.Errno {
	var room [maxControl / 8]uint64 // aligned as a cmsghdr has to be
	all := (*[maxControl]byte)(unsafe.Pointer(&room))
	n := copy(all[:], ctrl)
	if n < len(ctrl) || n+unix.CmsgSpace(2) > len(all) {
		return unix.EINVAL
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&all[n]))
	h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(all[n+unix.CmsgLen(0):], uint16(size))
	return SendTo(fd, b, ap, all[:n+unix.CmsgSpace(2)])
}
