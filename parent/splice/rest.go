package splice

import (
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// A guest's kernel forgets a connection that its program has closed: after
// net.ipv4.tcp_fin_timeout (60 s) it answers with RST, and at once if anything
// comes that nobody can read. That does not take back what the guest has sent, of
// which the host's peer may have read little by then: a file on its way over a slow
// line, say. With no one in between, it would be in the peer's kernel, or still be
// sent by the guest's. So the peer gets all of it, and the guest's FIN, as long as
// it goes on to take some within Times.Orphan; then it sees RST.

// leavesRest tells whether the guest has said FIN and is gone, and the host's
// peer has not got all of what it sent. toGuest asks, and has not ended.
func (f *Flow) leavesRest() bool {
	if !f.guestEnded() || f.hostFailed.Load() {
		return false
	}
	return f.toHost.state.Load() != over || outq(f.fd) != 0
}

// guestEnded tells whether the guest has said FIN and is gone: it was reset, has
// timed out, or has had our FIN as well. In netstack only a FIN leads to StateClose.
func (f *Flow) guestEnded() bool {
	switch tcp.EndpointState(f.ep.State()) {
	case tcp.StateClose:
		return true
	case tcp.StateError:
		ep := f.ep.(*tcp.Endpoint)
		ep.LockUser() // who changes it has this lock
		defer ep.UnlockUser()
		return ep.RcvClosed
	}
	return false
}

// discard is toGuest's while that is so: a peer may not read before it has written,
// and what comes to a socket that is closed makes the kernel reset it.
func (f *Flow) discard() step {
	f.awaitHost()
	for moved := 0; moved < turn; {
		// Nothing is copied (tcp(7), MSG_TRUNC).
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(f.fd), 0, turn, unix.MSG_TRUNC|unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			return idle
		case errno != 0:
			return f.hostGone()
		case n == 0: // behind an end there is no error to read any more
			if f.hostEvents.Load()&poll.Err != 0 && f.noteError() {
				return f.hostGone()
			}
			return idle
		}
		moved += int(n)
	}
	return again
}

// awaitHost gives the host's peer Times.Orphan to take some of what is left of a
// guest that is gone, and that time again whenever it has.
func (f *Flow) awaitHost() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rest.look == nil {
		f.rest.took, f.rest.since = f.passedOn(), time.Now()
		f.rest.wait = firstLook
		f.rest.look = time.AfterFunc(f.rest.wait, f.lookAtRest)
	}
}

// lookAtRest ends a Flow whose rest has gone, which nobody tells, or goes nowhere.
func (f *Flow) lookAtRest() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		return
	}
	if took := f.passedOn(); took > f.rest.took {
		f.rest.took, f.rest.since = took, time.Now()
	}
	switch {
	case f.toHost.state.Load() == over && outq(f.fd) == 0:
		f.schedule(workToGuest)
	case time.Since(f.rest.since) >= f.cfg.times().Orphan:
		f.resetHost.Store(true)
		f.die()
	default:
		f.rest.wait = min(2*f.rest.wait, rareLook)
		f.rest.look.Reset(f.rest.wait)
	}
}

// rest is how the host's peer takes what a guest that is gone has left.
type rest struct {
	look  *time.Timer // calls lookAtRest, and again after twice the time
	wait  time.Duration
	took  int64     // bytes that it had acknowledged when it last took some
	since time.Time // then
}
