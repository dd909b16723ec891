package door

import (
	"time"

	"golang.org/x/sys/unix"
)

// Process is one that Spawn started. It stays a zombie until End.
type Process struct {
	Pid   int
	pidfd int // -1: the kernel has none (before Linux 5.2)
}

// Kill sends SIGKILL. It does not wait: End(0) is left to do.
func (p *Process) Kill() {
	unix.Kill(p.Pid, unix.SIGKILL)
	if p.pidfd >= 0 {
		unix.Close(p.pidfd)
		p.pidfd = -1
	}
}

// End waits for the process to end by itself for as long as patience, ends it
// otherwise, and reaps it. It tells how the process ended, and whether it had
// to be killed. It is called once.
func (p *Process) End(patience time.Duration) (status unix.WaitStatus, killed bool) {
	if killed = !p.ends(patience); killed {
		p.Kill()
	}
	if p.pidfd >= 0 {
		unix.Close(p.pidfd)
	}
	for {
		if _, err := unix.Wait4(p.Pid, &status, 0, nil); err != unix.EINTR {
			return status, killed
		}
	}
}

// ends waits for the end, without reaping.
func (p *Process) ends(patience time.Duration) bool {
	if p.pidfd < 0 || patience <= 0 {
		return false
	}
	deadline := time.Now().Add(patience)
	for {
		left := time.Until(deadline)
		if left < 0 {
			return false
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(p.pidfd), Events: unix.POLLIN}}, int(left/time.Millisecond)+1)
		switch {
		case n > 0:
			return true
		case err != nil && err != unix.EINTR:
			return false
		}
	}
}

// File is the descriptor, close-on-exec, by which [Adopt] knows the process
// again; -1: there is none.
func (p *Process) File() int { return p.pidfd }

// Adopt is a process that Spawn started before this program was replaced by
// [Exec], which it must have been kept for.
func Adopt(pid, pidfd int) *Process { return &Process{Pid: pid, pidfd: pidfd} }
