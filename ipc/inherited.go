package ipc

import (
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Descriptors of the child. 0 to 2 are the parent's; the namespaces have
// numbers of their own in ipc/door.
const (
	childRPC = 3
	childFD  = 4
)

// ChildFiles are the child's open files, for the parent to start it with. None
// of the first three is left closed: Go's runtime would open /dev/null, which
// need not be there, and would not start without it.
func ChildFiles(s Sockets) []*os.File {
	return []*os.File{0: os.Stderr, 1: os.Stderr, 2: os.Stderr, childRPC: s.RPC, childFD: s.FD}
}

// ChildSockets are the sockets that a child started so has inherited, now
// close-on-exec. It closes everything else from 3 up that it inherited.
func ChildSockets() (Sockets, error) {
	if err := CloseInherited(childRPC, childFD); err != nil {
		return Sockets{}, err
	}
	return Sockets{RPC: os.NewFile(childRPC, "rpc"), FD: os.NewFile(childFD, "fd")}, nil
}

// CloseInherited closes the file descriptors from 3 up that came over exec,
// except those in keep, which it makes close-on-exec; one that is not open
// stays so. Nothing that this process opened itself is touched: in Go that is
// all close-on-exec, which nothing that came over exec can be.
func CloseInherited(keep ...int) error {
	for _, fd := range openFiles() {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if fd < 3 || err != nil || flags&unix.FD_CLOEXEC != 0 {
			continue
		}
		if slices.Contains(keep, fd) {
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
				return os.NewSyscallError("fcntl", err)
			}
			continue
		}
		unix.Close(fd)
	}
	return nil
}

// openFiles lists at least all open descriptors.
func openFiles() []int {
	var fds []int
	if names, err := os.ReadDir("/proc/self/fd"); err == nil {
		for _, n := range names {
			if fd, err := strconv.Atoi(n.Name()); err == nil {
				fds = append(fds, fd)
			}
		}
		return fds
	}
	// No /proc: try them all, within reason.
	const most = 4096
	for fd := range most {
		fds = append(fds, fd)
	}
	return fds
}
