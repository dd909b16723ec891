package parent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

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

// watchSignals calls cancel with a *signalError at the first signal that ends
// us. Those that the caller had us ignore (nohup, a shell's background job)
// stay ignored. From here on writing to a closed pipe is an error, no signal.
func watchSignals(cancel context.CancelCauseFunc) {
	signal.Ignore(unix.SIGPIPE)
	ch := make(chan os.Signal, 1)
	for _, s := range []os.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP} {
		if !signal.Ignored(s) {
			signal.Notify(ch, s)
		}
	}
	go func() { cancel(&signalError{(<-ch).(syscall.Signal)}) }()
}

// dieBy ends the process by the signal that it caught, so that its caller sees
// the same wait status as from a program that catches none.
func dieBy(s *signalError) {
	signal.Reset(s.sig)
	unix.Kill(unix.Getpid(), s.sig)
	// Another thread may be the one to die of it.
	time.Sleep(time.Second)
	os.Exit(128 + int(s.sig))
}
