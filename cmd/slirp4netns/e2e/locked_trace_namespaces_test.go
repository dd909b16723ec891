package e2e

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// namespaceCall is an ioctl by which a descriptor of a namespace is got:
// linux/nsfs.h, linux/pidfd.h.
type namespaceCall struct {
	request uintptr
	own     bool // of the caller's mount namespace; else of the pidfd
}

// namespaceWays must be refused, whatever with: kernels before Linux 6.11 and
// 6.12 do not know them.
var namespaceWays = map[string]namespaceCall{
	"NS_MNT_GET_NEXT":          {0x8010b70b, true},
	"NS_MNT_GET_PREV":          {0x8010b70c, true},
	"PIDFD_GET_MNT_NAMESPACE":  {0xff03, false},
	"PIDFD_GET_NET_NAMESPACE":  {0xff04, false},
	"PIDFD_GET_USER_NAMESPACE": {0xff09, false},
}

// get makes the call.
func (c namespaceCall) get(pidfd int) error {
	on := pidfd
	var info [2]uint64 // struct mnt_ns_info
	arg := uintptr(0)  // a pidfd's takes none
	if c.own {
		own, err := unix.Open("/proc/self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(own)
		on, arg = own, uintptr(unsafe.Pointer(&info))
	}
	fd, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(on), c.request, arg)
	if errno != 0 {
		return errno
	}
	unix.Close(int(fd))
	return nil
}
