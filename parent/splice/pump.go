package splice

import (
	"errors"
	"io"
	"unsafe"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// turn is how many bytes one direction of one flow may move before others have
// their turn.
const turn = 1 << 20

// little is how many bytes in a socket look like an answer and not like a part
// of a stream: there is no second look at what may have come meanwhile.
const little = 16 << 10

// errSocket stops netstack's copy loops; the errno says why.
var errSocket = errors.New("splice: host socket")

// pumpToHost moves what the guest sent to the host.
func (f *Flow) pumpToHost() step {
	if f.hostFailed.Load() {
		return finished
	}
	w := hostWriter{fd: f.fd}
	for moved := 0; moved < turn; {
		res, err := f.readInto(&w)
		switch err.(type) {
		case nil:
			moved += res.Count
			f.fromGuest.Add(uint64(res.Count))
			if w.errno == unix.EAGAIN {
				return f.untilOut()
			}
			f.openWindow()
		case *tcpip.ErrWouldBlock:
			return idle
		case *tcpip.ErrClosedForReceive:
			if f.guestHasReset() && !f.guestEnded() {
				return f.guestGone()
			}
			return f.endHost()
		case *tcpip.ErrBadBuffer:
			if w.errno == unix.EAGAIN {
				return f.untilOut()
			}
		default:
			if f.guestEnded() {
				return f.endHost()
			}
			return f.guestGone()
		}
		if w.errno != 0 {
			return f.hostGone()
		}
	}
	return again
}

// endHost passes on the guest's FIN.
func (f *Flow) endHost() step {
	if err := unix.Shutdown(f.fd, unix.SHUT_WR); err != nil {
		f.noteError()
		return f.hostGone()
	}
	f.probeSooner()
	f.closeWindow()
	return finished
}

// readInto lets netstack write to the host's socket. An error of the socket,
// also one that writing would not show, ends up in w.errno, and is kept for
// the other half: the kernel tells it once.
func (f *Flow) readInto(w *hostWriter) (res tcpip.ReadResult, err tcpip.Error) {
	f.errMu.Lock()
	defer f.errMu.Unlock()
	if f.hostEvents.Load()&poll.Err != 0 {
		w.errno = f.hostError()
	}
	if w.errno == 0 || w.errno == unix.EAGAIN {
		res, err = f.ep.Read(w, tcpip.ReadOptions{})
	}
	if w.errno != 0 && w.errno != unix.EAGAIN && f.hostErrno == 0 {
		f.hostErrno = w.errno
	}
	return res, err
}

// untilOut waits until the host's socket takes more, unless the guest has
// reset the connection before it said FIN: then the rest is not for anybody.
func (f *Flow) untilOut() step {
	f.receiveBuffer.steady.stop()
	switch {
	case f.guestHasReset() && !f.guestEnded(): // in this order: it may just be ending
		return f.guestGone()
	case f.guestEnded():
		f.awaitHost()
	case tcp.EndpointState(f.ep.State()) == tcp.StateCloseWait:
		f.probeSooner() // its FIN waits for the host's peer to read
	}
	return idle
}

// probeSooner makes keepalive look after a guest that has sent FIN. toHost calls
// it.
func (f *Flow) probeSooner() {
	if !f.probed {
		f.probed = true
		f.cfg.times().HalfClosed.apply(f.ep)
	}
}

// guestHasReset tells whether the endpoint has failed, by a RST of the guest
// or by a time-out. After a FIN of the guest netstack does not call that an
// error, but no endpoint is closed whose last word we have not said.
func (f *Flow) guestHasReset() bool {
	switch tcp.EndpointState(f.ep.State()) {
	case tcp.StateError:
		return true
	case tcp.StateClose:
		return f.toGuest.state.Load() != over
	}
	return false
}

// pumpToGuest moves what the host sent to the guest.
func (f *Flow) pumpToGuest() step {
	if f.leavesRest() {
		return f.discard()
	}
	r := hostReader{fd: f.fd}
	for moved := 0; moved < turn; {
		n, errno := inq(f.fd)
		if errno != 0 {
			return f.hostGone()
		}
		if n == 0 {
			switch {
			case f.leavesRest(): // by now
				return f.discard()
			case f.guestHasReset():
				return f.guestGone()
			case f.hostFailed.Load():
				return f.restEnd()
			}
			return f.hostEnd()
		}
		room := f.room(n)
		if room == 0 {
			return idle // until netstack says that there is some
		}
		r.left = room
		m, err := f.ep.Write(&r, tcpip.WriteOptions{})
		if r.errno != 0 {
			// Bytes that were promised did not come, or came and were
			// lost with the ones that did not: never a clean end.
			return f.hostGone()
		}
		switch err.(type) {
		case nil:
			if int(m) != room-r.left {
				return f.hostGone() // what was read is not with netstack
			}
			moved += int(m)
			f.intoGuest.Add(uint64(m))
			f.wrote(m)
			if f.hostFailed.Load() {
				f.seeProgress()
			}
		case *tcpip.ErrWouldBlock:
			return idle // until netstack says that it is writable
		default:
			if f.leavesRest() {
				return f.discard()
			}
			return f.guestGone()
		}
		if m == 0 || int(m) == n && n < little && !f.hostEnding() {
			return idle // what comes from now on is an event of its own
		}
	}
	return again
}

// hostEnding tells whether the socket's end is known. The poller tells of it
// once.
func (f *Flow) hostEnding() bool {
	return f.hostFailed.Load() || f.hostEvents.Load()&(poll.RdHUp|poll.HUp|poll.Err) != 0
}

// hostEnd is called when the host's socket has nothing to read.
func (f *Flow) hostEnd() step {
	if !f.hostEnding() {
		return idle
	}
	var b [1]byte
	f.errMu.Lock()
	n, _, err := unix.Recvfrom(f.fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	told := f.hostErrno
	f.errMu.Unlock()
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return idle
	case err != nil:
		return f.hostGone()
	case n > 0:
		return again // it came just now
	case told != 0 && told != unix.EPIPE:
		return f.hostGone() // toHost was told, and so we were not
	}
	// EPIPE is a RST after the FIN: the guest sees both, in this order.
	if err := f.ep.Shutdown(tcpip.ShutdownWrite); err != nil {
		if f.leavesRest() {
			return f.discard()
		}
		return f.guestGone()
	}
	return finished
}

// restEnd is called when nothing is left in a socket that has failed, and toHost
// knows why. EPIPE is a RST after the FIN: the guest sees both, in this order,
// behind the last byte.
func (f *Flow) restEnd() step {
	f.errMu.Lock()
	told := f.hostErrno
	f.errMu.Unlock()
	if told == unix.EPIPE {
		if err := f.ep.Shutdown(tcpip.ShutdownWrite); err != nil {
			return f.guestGone()
		}
	}
	return finished
}

// noteError keeps the socket's error for toGuest, and tells whether there is one.
func (f *Flow) noteError() bool {
	f.errMu.Lock()
	defer f.errMu.Unlock()
	if f.hostErrno == 0 {
		f.hostErrno = f.hostError()
	}
	return f.hostErrno != 0
}

// hostError fetches an error of the host's socket that reading would not show
// any more.
func (f *Flow) hostError() unix.Errno {
	v, err := unix.GetsockoptInt(f.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return unix.EIO
	}
	if v == 0 {
		f.hostEvents.And(^uint32(poll.Err))
	}
	return unix.Errno(v)
}

// hostGone ends a flow whose host side has failed. The guest sees RST, after
// what the host's kernel had received: a program of the host could still read
// that. A guest that does not take it has Times.Orphan, or less if it goes on
// writing (refuse).
func (f *Flow) hostGone() step {
	f.resetGuest.Store(true)
	f.resetHost.Store(true)
	f.limit()
	f.hostFailed.Store(true)
	f.schedule(workToHost | workToGuest | workRefuse)
	return finished
}

// guestGone ends a flow that the guest has reset or that timed out: the host's
// peer sees RST.
func (f *Flow) guestGone() step {
	f.resetHost.Store(true)
	f.resetGuest.Store(true)
	f.die()
	return finished
}

// inq is the number of bytes that can be read from a socket.
func inq(fd int) (int, unix.Errno) {
	var n int32
	_, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCINQ, uintptr(unsafe.Pointer(&n)))
	return int(n), errno
}

// outq is the number of bytes that a socket has and its peer has not
// acknowledged.
func outq(fd int) int64 {
	var n int32
	unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCOUTQ, uintptr(unsafe.Pointer(&n)))
	return int64(n)
}

// hostWriter writes netstack's views to the host's socket, without a copy. It
// is used under the endpoint's lock.
type hostWriter struct {
	fd    int
	errno unix.Errno
}

// Write implements io.Writer: a short write is an error.
func (w *hostWriter) Write(b []byte) (int, error) {
	w.errno = 0
	done := 0
	for done < len(b) {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(w.fd), uintptr(unsafe.Pointer(&b[done])), uintptr(len(b)-done), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			done += int(n)
		case unix.EINTR:
		default:
			w.errno = errno
			return done, errSocket
		}
	}
	return done, nil
}

// hostReader is a tcpip.Payloader whose Read reads the host's socket straight
// into netstack's views.
type hostReader struct {
	fd    int
	left  int // bytes that the socket is known to have
	errno unix.Errno
}

// Len implements tcpip.Payloader.
func (r *hostReader) Len() int { return r.left }

// Read implements io.Reader. It must not end before Len bytes have been read:
// netstack would ask for ever.
func (r *hostReader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(r.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == unix.EINTR:
			continue
		case errno != 0:
			r.errno = errno
			return 0, errSocket
		case n == 0:
			r.errno = unix.EPIPE
			return 0, io.ErrUnexpectedEOF
		}
		r.left -= int(n)
		return int(n), nil
	}
}
