package ipc

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCloseInherited(t *testing.T) {
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	// As they come over exec: without close-on-exec. ours is the reverse.
	inherited, kept, ours := dup(t, null, 100, 0), dup(t, null, 101, 0), dup(t, null, 102, unix.O_CLOEXEC)
	if err := CloseInherited(kept, 103); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(inherited), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("what was inherited is still open: %v", err)
	}
	for _, fd := range []int{kept, ours} {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags != unix.FD_CLOEXEC {
			t.Errorf("fd %d: flags %#x, %v, want it open and close-on-exec", fd, flags, err)
		}
		unix.Close(fd)
	}
}

func dup(t *testing.T, f *os.File, to, flags int) int {
	t.Helper()
	if err := unix.Dup3(int(f.Fd()), to, flags); err != nil {
		t.Fatal(err)
	}
	return to
}
