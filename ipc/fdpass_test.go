package ipc

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fds counts this process's open descriptors.
func fds(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// TestRecvFD sends what a child may send, good and bad.
func TestRecvFD(t *testing.T) {
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	n := int(null.Fd())
	many := make([]int, 100)
	for i := range many {
		many[i] = n
	}
	for _, c := range []struct {
		name string
		data string
		fds  []int
		want string // part of the error; empty: success
	}{
		{"right", fdMessage, []int{n}, ""},
		{"no descriptor", fdMessage, nil, "0 file descriptors, want 1"},
		{"two descriptors", fdMessage, []int{n, n}, "2 file descriptors, want 1"},
		{"more than fit", fdMessage, many, "truncated"},
		{"other text", "pat", []int{n}, `"pat"`},
		{"short text", "ta", []int{n}, `"ta"`},
		{"text that is too long by one", fdMessage + "x", []int{n}, `"tapx"`},
		{"much too long", strings.Repeat("x", 1000), []int{n}, "truncated"},
		{"no text", "", []int{n}, `"\x00"`}, // x/sys adds a byte
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b, err := pair(unix.SOCK_SEQPACKET, "test")
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			defer b.Close()
			before := fds(t)
			var oob []byte
			if len(c.fds) > 0 {
				oob = unix.UnixRights(c.fds...)
			}
			if err := unix.Sendmsg(int(a.Fd()), []byte(c.data), oob, nil, 0); err != nil {
				t.Fatal(err)
			}
			fd, err := RecvFD(b, time.Now())
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %v, want %q", err, c.want)
				}
				if after := fds(t); after != before {
					t.Errorf("%d descriptors were left open", after-before)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags != unix.FD_CLOEXEC {
				t.Errorf("flags %#x, %v, want close-on-exec", flags, err)
			}
			var got, want unix.Stat_t
			if err := errors.Join(unix.Fstat(fd, &got), unix.Fstat(n, &want)); err != nil || got.Rdev != want.Rdev {
				t.Errorf("received another file: %v", err)
			}
		})
	}
}

func TestRecvFDEnd(t *testing.T) {
	a, b, err := pair(unix.SOCK_SEQPACKET, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	start := time.Now()
	if _, err := RecvFD(b, start.Add(50*time.Millisecond)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("nothing sent: %v", err)
	}
	if d := time.Since(start); d < 50*time.Millisecond || d > 5*time.Second {
		t.Errorf("waited %v, want 50 ms", d)
	}
	a.Close()
	if _, err := RecvFD(b, time.Now().Add(time.Second)); err != io.EOF {
		t.Errorf("closed: %v, want EOF", err)
	}
}

// TestRecvFDForeignControl is a control message that is none of ours.
func TestRecvFDForeignControl(t *testing.T) {
	a, b, err := pair(unix.SOCK_SEQPACKET, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	defer b.Close()
	if err := unix.SetsockoptInt(int(b.Fd()), unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		t.Fatal(err)
	}
	if err := SendFD(a, int(b.Fd())); err != nil {
		t.Fatal(err)
	}
	before := fds(t)
	if _, err := RecvFD(b, time.Now()); err == nil {
		t.Error("credentials were accepted")
	}
	if after := fds(t); after != before {
		t.Errorf("%d descriptors were left open", after-before)
	}
}
