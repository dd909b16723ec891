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

// Both cost processor time that others may want: a spin its own, and a thread
// that keeps its processor has the runtime watch it. So each must have paid
// lately.
const (
	// mostCredit is for how many spins in vain there may be credit.
	mostCredit = 16
	// soon is how short a wait is after which a spin is tried. Half of it is
	// what waking a thread takes.
	soon = 3 * spin
	// rareSpin is how many such waits there are to a try.
	rareSpin = 16
)

// waiter waits for events, and learns how long that takes.
type waiter struct {
	alone   bool // there is one processor, and whoever we wait for needs it
	credit  int  // for spins
	quick   int  // waits that were shorter than soon, since the last try
	lingers bool // the last wait was shorter than linger
}

func newWaiter() *waiter { return &waiter{alone: runtime.NumCPU() == 1} }

// spins tells whether to spin this time.
func (w *waiter) spins() bool { return !w.alone && w.credit > 0 }

// spun tells whether a spin found something.
func (w *waiter) spun(found bool) {
	if found {
		w.credit = mostCredit
	} else {
		w.credit--
	}
}

// waited tells how long a wait without a spin took.
func (w *waiter) waited(d time.Duration) {
	w.lingers = d < linger
	if d > soon {
		w.quick = 0
	} else if w.quick++; w.quick == rareSpin {
		w.quick = 0
		w.credit = max(w.credit, 1)
	}
}

// wait is epoll_wait(2) for as long as it takes, or until a signal (EINTR).
// It calls idle before it sleeps.
func (w *waiter) wait(epfd int, events []unix.EpollEvent, idle func()) (int, unix.Errno) {
	n, errno := epollWait(epfd, events, 0)
	if n != 0 || errno != 0 {
		return n, errno
	}
	begin := time.Now()
	if w.spins() {
		for n == 0 && errno == 0 && time.Since(begin) < spin {
			runtime.Gosched()
			n, errno = epollWait(epfd, events, 0)
		}
		w.spun(n != 0)
		if n != 0 || errno != 0 {
			return n, errno
		}
	}
	if w.lingers {
		n, errno = epollWait(epfd, events, linger)
	}
	if n == 0 && errno == 0 {
		idle()
		n, errno = epollSleep(epfd, events)
	}
	w.waited(time.Since(begin))
	return n, errno
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
