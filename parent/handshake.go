package parent

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// errExit means that the other end of the exit-fd was closed.
var errExit = errors.New("exitfd event")

// inherited tells whether fd came to us over exec. What this process, or its
// runtime, has opened is close-on-exec, which nothing that came over exec is: a
// number that the caller did not open may well be one of those by now.
//
// Preconditions: CloseInherited has not run yet.
func inherited(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil && flags&unix.FD_CLOEXEC == 0
}

// notifyReady tells the caller that everything is up: "1", and end of file. Of
// the standard descriptors none is left closed, lest the next socket gets its
// number, and our warnings.
func notifyReady(fd int) error {
	_, err := unix.Write(fd, []byte("1"))
	var cerr error
	if fd <= 2 {
		cerr = leadNowhere(fd)
	} else {
		cerr = unix.Close(fd)
	}
	if err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("ready-fd %d: %w", fd, err)
	}
	return nil
}

// leadNowhere makes fd one end of a pipe that has no other. There is no
// /dev/null in the sandbox.
func leadNowhere(fd int) error {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	return unix.Dup3(pipe[1], fd, 0)
}

// watchExit calls cancel when the other end of fd hangs up, or fd is in error
// or no descriptor at all.
//
// slirp4netns: that there is data to read is no reason, whatever the manual of
// the C program says.
func watchExit(fd int, cancel context.CancelCauseFunc) {
	for {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLHUP}}
		_, err := unix.Poll(p, -1)
		switch {
		case err == unix.EINTR:
		case err != nil:
			cancel(fmt.Errorf("exit-fd %d: poll: %w", fd, err))
			return
		case p[0].Revents != 0:
			cancel(errExit)
			return
		}
	}
}
