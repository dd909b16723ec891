package poll

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ways to wait, one after the other. Where answers follow requests the next
// event is a matter of microseconds, and less than what it takes to let Go's
// scheduler wait for it, or the kernel's to wake a thread.
const (
	// spin is how long the Poller looks again and again, in the way of
	// net.core.busy_read. Measured with requests and responses of one byte
	// over TCP, on two cores: without 109 µs, with 15 µs of it 94, with 40 µs
	// 79.
	spin = 40 * time.Microsecond
	// linger is how long it waits in a way that Go's scheduler does not know
	// of. A thread that lingers sleeps, but keeps what Go calls a processor,
	// of which there may be just one: so others have their turn first (see
	// Run), and it does not last.
	linger = time.Millisecond
)

// A spin costs processor time that others may want. So there is credit for
// spins: each one that finds something earns more than it cost. Without credit
// only each rareSpin-th is tried.
const (
	spinCredit = 16
	spinEarns  = 4
	rareSpin   = 32
)

// spinner decides when to spin.
type spinner struct {
	alone  bool // there is one processor, and whoever we wait for needs it
	credit int
	waits  int
}

func newSpinner() *spinner {
	return &spinner{alone: runtime.NumCPU() == 1, credit: spinCredit}
}

// worthwhile tells whether to spin this time.
func (s *spinner) worthwhile() bool {
	s.waits++
	return !s.alone && (s.credit > 0 || s.waits%rareSpin == 0)
}

// spun tells whether a spin found something.
func (s *spinner) spun(found bool) {
	if found {
		s.credit = min(s.credit+spinEarns, spinCredit)
	} else {
		s.credit = max(s.credit-1, 0)
	}
}

// wait is epoll_wait(2) for as long as it takes, or until a signal (EINTR).
func (s *spinner) wait(epfd int, events []unix.EpollEvent, idle func()) (int, unix.Errno) {
	n, errno := epollWait(epfd, events, 0)
	if n != 0 || errno != 0 {
		return n, errno
	}
	if s.worthwhile() {
		for begin := time.Now(); n == 0 && errno == 0 && time.Since(begin) < spin; {
			runtime.Gosched()
			n, errno = epollWait(epfd, events, 0)
		}
		s.spun(n != 0)
		if n != 0 || errno != 0 {
			return n, errno
		}
	}
	n, errno = epollWait(epfd, events, linger)
	if n != 0 || errno != 0 {
		return n, errno
	}
	idle()
	return epollSleep(epfd, events)
}

// epollWait is epoll_wait(2) without a word to Go's scheduler, so not for long.
// A collection of garbage interrupts it: the runtime sends signals to
// goroutines that it wants to stop.
func epollWait(epfd int, events []unix.EpollEvent, timeout time.Duration) (int, unix.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd),
		uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(timeout.Milliseconds()), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// epollSleep is epoll_wait(2) without an end.
func epollSleep(epfd int, events []unix.EpollEvent) (int, unix.Errno) {
	forever := -1
	n, _, errno := syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd),
		uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(forever), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
