package parent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// signalError is a signal that asks the process to end.
type signalError struct{ sig syscall.Signal }

func (e *signalError) Error() string { return fmt.Sprintf("signal %d (%v)", e.sig, e.sig) }

// caught is the signal that err is about, or nil.
func caught(err error) *signalError {
	var s *signalError
	errors.As(err, &s)
	return s
}

// endGrace is how long the stages have to end after a signal, before the
// process dies of it wherever they are: a stage may be blocked in a system call
// that only its caller can end, such as writing to a full pipe.
const endGrace = 2 * time.Second

// deadly are the signals that a program dies of if it does nothing about them,
// and that others send it.
var deadly = []syscall.Signal{
	unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT,
	unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM,
}

// catches tells whether deadly signals are caught: by who has files to remove at
// the end, and by process 1 of a PID namespace, for which the kernel does nothing
// by default.
func (c *Config) catches() bool { return c.hasFiles() || unix.Getpid() == 1 }

// dieOfSignals is for a process that has nothing to do at its end that the kernel
// does not do. To have Go's runtime tell of a signal takes two threads' waking
// up, and without being asked it ignores some, and prints its goroutines for
// others.
func dieOfSignals() {
	for _, s := range deadly {
		if !signal.Ignored(s) {
			setDefault(s)
		}
	}
}

// watchSignals calls cancel with a *signalError at the first deadly signal. A
// second one, or endGrace, ends the process at once; all that it still does is
// last, for as long as lastGrace. SIGINT and SIGHUP that the caller had us ignore
// (nohup, a shell's background job) stay ignored; of others the runtime does not
// tell.
func watchSignals(cancel context.CancelCauseFunc, last func()) {
	ch := make(chan os.Signal, 2)
	for _, s := range deadly {
		if !signal.Ignored(s) {
			signal.Notify(ch, s)
		}
	}
	go func() {
		why := &signalError{(<-ch).(syscall.Signal)}
		cancel(why)
		select {
		case second := <-ch:
			why = &signalError{second.(syscall.Signal)}
		case <-time.After(endGrace):
		}
		done := make(chan struct{})
		go func() { last(); close(done) }()
		select {
		case <-done:
		case <-time.After(lastGrace):
		}
		dieBy(why)
	}()
}

// lateSignal is how much later than the child's end, of a signal that went to both,
// it is told of here.
const lateSignal = 50 * time.Millisecond

// awaitLate waits for it if err is about a child that died of one.
func awaitLate(ctx context.Context, err error) {
	var failed *childError
	if !errors.As(err, &failed) || !slices.Contains(deadly, syscall.Signal(failed.status-128)) {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(lateSignal):
	}
}

// lastGrace is how long removing our files may take: a file system may not
// answer any more.
const lastGrace = 500 * time.Millisecond

// dieBy ends the process by the signal that it caught, so that its caller sees
// the same wait status as from a program that catches none. Process 1 of a PID
// namespace cannot; it ends with what a shell makes of that.
func dieBy(s *signalError) {
	if unix.Getpid() != 1 {
		signal.Reset(s.sig)
		setDefault(s.sig)
		unix.Kill(unix.Getpid(), s.sig)
		// Another thread may be the one to die of it.
		time.Sleep(time.Second)
	}
	os.Exit(128 + int(s.sig))
}

// setDefault has the kernel do what it does by default. signal.Reset would leave
// Go's handler, which ends by exit for some signals and ignores others.
func setDefault(s syscall.Signal) {
	// All zero is SIG_DFL, whatever the architecture's struct sigaction is like.
	var deflt [128]byte
	const sigsetSize = 8
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(&deflt)), 0, sigsetSize, 0, 0)
}
