package parent

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// errExit means that the other end of the exit-fd was closed.
var errExit = errors.New("exitfd event")

// notifyReady tells the caller that everything is up: "1", and end of file.
func notifyReady(fd int) error {
	_, err := unix.Write(fd, []byte("1"))
	if cerr := unix.Close(fd); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("ready-fd %d: %w", fd, err)
	}
	return nil
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
