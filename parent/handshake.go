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

// ReadyOnStdout tells that the ready-fd leads to where stdout does, as with
// --ready-fd=1 or 3>&1. Who waits there takes the first byte for ours, so that
// nothing else is printed.
//
// slirp4netns: its stdout is buffered, and what is in it comes later or never.
func (c *Config) ReadyOnStdout() bool { return isStdout(c.ReadyFD) }

// isStdout tells whether fd leads to where stdout leads, and no terminal is
// there.
func isStdout(fd int) bool {
	const stdout = 1
	var a, b unix.Stat_t
	if fd < 0 || unix.Fstat(fd, &a) != nil || unix.Fstat(stdout, &b) != nil {
		return false
	}
	return a.Dev == b.Dev && a.Ino == b.Ino && a.Mode&unix.S_IFMT != unix.S_IFCHR
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
