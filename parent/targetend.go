package parent

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"
)

// errTargetGone means that the process that the command line named has ended.
var errTargetGone = errors.New("the process is gone")

// openTarget opens the process that c names, for watchTarget. -1: there is
// none, an exit-fd decides, or the kernel has no pidfd_open(2) (before Linux
// 5.3).
func (c *Config) openTarget() int {
	if c.Target.Kind != TargetPID || c.exitFDDecides() {
		return -1
	}
	fd, err := unix.PidfdOpen(c.Target.PID, 0)
	if err != nil {
		return -1
	}
	return fd
}

// watchTarget calls cancel when the process behind pidfd has ended. It stands
// in for a TAP that ends with its namespace, where that could not be made: the
// namespace may well have other users, but ours would keep it for ever.
func watchTarget(pidfd int, cancel context.CancelCauseFunc) {
	for {
		p := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
		_, err := unix.Poll(p, -1)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return // exit-fd and signals are left
		case p[0].Revents != 0:
			cancel(errTargetGone)
			return
		}
	}
}
