package ipc

import (
	"os"

	"golang.org/x/sys/unix"
)

// Sockets are one side's ends of the two socketpairs.
type Sockets struct {
	RPC *os.File // stream: ttrpc
	FD  *os.File // SOCK_SEQPACKET: the TAP
}

// Pairs makes both socketpairs, close-on-exec.
func Pairs() (parent, child Sockets, err error) {
	if parent.RPC, child.RPC, err = pair(unix.SOCK_STREAM, "rpc"); err != nil {
		return
	}
	if parent.FD, child.FD, err = pair(unix.SOCK_SEQPACKET, "fd"); err != nil {
		parent.Close()
		child.Close()
	}
	return
}

func pair(typ int, name string) (a, b *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name), nil
}

// Close closes both.
func (s *Sockets) Close() {
	s.RPC.Close()
	s.FD.Close()
}
