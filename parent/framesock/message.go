package framesock

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// MaxFrame is the largest frame in bytes: an IP packet of any size, and an
// Ethernet header with two VLAN tags.
const MaxFrame = 65535 + 14 + 2*4

// batch is how many frames one system call receives or sends.
const batch = 16

// mmsghdr is struct mmsghdr of recvmmsg(2). The kernel's has the same padding
// as Go's.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// Receiver is what frames are received into. It serves any number of sockets,
// one after the other.
type Receiver struct {
	msgs    [batch]mmsghdr
	iov     [batch]unix.Iovec
	buffers []byte
}

// NewReceiver makes one. Its memory is touched only as far as frames go.
func NewReceiver() *Receiver {
	r := &Receiver{buffers: make([]byte, batch*MaxFrame)}
	for i := range r.msgs {
		r.iov[i].Base = &r.buffers[i*MaxFrame]
		r.iov[i].SetLen(MaxFrame)
		r.msgs[i].hdr.Iov = &r.iov[i]
		r.msgs[i].hdr.SetIovlen(1)
	}
	return r
}

// receive takes as many messages as there are, up to batch.
func (r *Receiver) receive(fd int) (n int, errno unix.Errno) {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&r.msgs[0])), batch, unix.MSG_DONTWAIT, 0, 0)
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

// message is the i-th message. whole is false when it was larger than any
// frame.
func (r *Receiver) message(i int) (b []byte, whole bool) {
	m := &r.msgs[i]
	whole = m.hdr.Flags&unix.MSG_TRUNC == 0
	return r.buffers[i*MaxFrame:][:m.len], whole
}

// send sends one frame in pieces.
func send(fd int, frame []unix.Iovec) unix.Errno {
	var m unix.Msghdr
	m.Iov = &frame[0]
	m.SetIovlen(len(frame))
	for {
		_, _, errno := unix.Syscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&m)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if errno != unix.EINTR {
			return errno
		}
	}
}

// sender is room for the frames of one system call.
type sender struct {
	msgs [batch]mmsghdr
	iov  [batch]unix.Iovec
}

// add makes b the i-th frame.
func (s *sender) add(i int, b []byte) {
	s.iov[i].Base = &b[0]
	s.iov[i].SetLen(len(b))
	s.msgs[i].hdr = unix.Msghdr{Iov: &s.iov[i]}
	s.msgs[i].hdr.SetIovlen(1)
}

// addPieces makes a frame in pieces the i-th.
func (s *sender) addPieces(i int, frame []unix.Iovec) {
	s.msgs[i].hdr = unix.Msghdr{Iov: &frame[0]}
	s.msgs[i].hdr.SetIovlen(len(frame))
}

// clear forgets the first n frames, which are not to be kept.
func (s *sender) clear(n int) {
	clear(s.msgs[:n])
	clear(s.iov[:n])
}

// send sends the first n frames and returns how many went out; the errno is
// about the one after them.
func (s *sender) send(fd, n int) (int, unix.Errno) {
	for {
		sent, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&s.msgs[0])), uintptr(n), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			return int(sent), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}
