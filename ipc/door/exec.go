package door

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Exec replaces this process by path, which goes through the door with r. It
// keeps its PID, and of its open files 0, 1, 2 and those in keep, under the
// numbers that they have; each must have been through [Avoid].
//
// Preconditions: the calling goroutine is locked to the main thread, or the
// kernel would forget the caller's PR_SET_PDEATHSIG.
//
// Exec returns only when it failed. The process should then end: its
// descriptors are no longer close-on-exec.
func Exec(r Request, path string, argv, env []string, keep []int) error {
	v, err := r.variable()
	if err != nil {
		return err
	}
	if unix.Gettid() != unix.Getpid() {
		return errors.New("door: Exec off the main thread")
	}
	if err := place(r.UserNS, userNSFD); err != nil {
		return err
	}
	if err := place(r.NetNS, netNSFD); err != nil {
		return err
	}
	for _, fd := range keep {
		if fd == userNSFD || fd == netNSFD {
			return fmt.Errorf("door: fd %d is needed by the door", fd)
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("door: fcntl(F_SETFD) on fd %d: %w", fd, err)
		}
	}
	if err := syscall.Exec(path, argv, append([]string{v}, env...)); err != nil {
		return fmt.Errorf("execve(%q): %w", path, err)
	}
	return nil
}

// place puts f at number fd, open over exec. An fd that is in use may be the
// runtime's own epoll instance, so it is left alone.
func place(f *os.File, fd int) error {
	if f == nil {
		return nil
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
		return fmt.Errorf("door: fd %d is in use", fd)
	}
	if err := unix.Dup3(int(f.Fd()), fd, 0); err != nil {
		return fmt.Errorf("door: dup3 to fd %d: %w", fd, err)
	}
	return nil
}
