package parent

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestNotifyReady(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	// A descriptor of its own: notifyReady closes it.
	fd, err := unix.Dup(int(w.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	if err := notifyReady(fd); err != nil {
		t.Error(err)
	}
	if b, err := io.ReadAll(r); err != nil || string(b) != "1" {
		t.Errorf("%q, %v, want %q and the end", b, err, "1")
	}
	if err := notifyReady(1 << 20); !errors.Is(err, unix.EBADF) {
		t.Errorf("a descriptor that is none: %v", err)
	}
}

// watch returns why watchExit cancelled, or nil if it did not in time.
func watch(fd int, d time.Duration) error {
	ctx, cancel := context.WithCancelCause(context.Background())
	go watchExit(fd, cancel)
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

func TestWatchExit(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("data"); err != nil {
		t.Fatal(err)
	}
	if err := watch(int(r.Fd()), 100*time.Millisecond); err != nil {
		t.Errorf("data: %v", err)
	}
	w.Close()
	if err := watch(int(r.Fd()), 5*time.Second); err != errExit {
		t.Errorf("hang-up: %v", err)
	}
	if err := watch(1<<20, 5*time.Second); err != errExit {
		t.Errorf("no descriptor: %v", err)
	}
	file, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := watch(int(file.Fd()), 100*time.Millisecond); err != nil {
		t.Errorf("a file, which never hangs up: %v", err)
	}
}

func TestSelf(t *testing.T) {
	path, err := self()
	if err != nil {
		t.Fatal(err)
	}
	if want, err := os.Executable(); err != nil || path != want {
		t.Errorf("%s, want %s (%v)", path, want, err)
	}
}

func TestChildProgram(t *testing.T) {
	defer func(old string) { childPath = old }(childPath)
	ours, err := self()
	if err != nil {
		t.Fatal(err)
	}
	for set, want := range map[string]string{"": ours, "/nonexistent/slirp-child": ours, "/bin/sh": "/bin/sh"} {
		childPath = set
		if got, err := childProgram(); err != nil || got != want {
			t.Errorf("childPath %q: %s, %v, want %s", set, got, err, want)
		}
	}
}

func TestDeathSignalUnchanged(t *testing.T) {
	// None was asked for, and none is set.
	if err := (deathSignal{}).restore(); err != nil {
		t.Error(err)
	}
}

func TestOpenNamespaces(t *testing.T) {
	for _, c := range []struct {
		target Target
		want   string // part of the error
		user   bool
	}{
		{Target{Kind: TargetPID, PID: os.Getpid()}, "", false}, // ours cannot be joined again
		{Target{Kind: TargetPath, Path: "/proc/self/ns/net"}, "", false},
		{Target{Kind: TargetPath, Path: "/proc/self/ns/net", UserNS: "/nonexistent"}, "/nonexistent: no such file or directory", false},
		{Target{Kind: TargetPath, Path: "/proc/self/ns/net", UserNS: "/proc/self/ns/user"}, "", false},
		{Target{Kind: TargetPID, PID: 1 << 30}, "/proc/1073741824/ns/net: no such file or directory", false},
		{Target{Kind: TargetPath, Path: "/nonexistent"}, "/nonexistent: no such file or directory", false},
	} {
		n, err := openNamespaces(c.target)
		if c.want != "" {
			if err == nil || err.Error() != c.want {
				t.Errorf("%v: %v, want %q", c.target, err, c.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%v: %v", c.target, err)
			continue
		}
		if n.net == nil || (n.user != nil) != c.user {
			t.Errorf("%v: %v", c.target, n)
		}
		n.close()
	}
	if n, err := openNamespaces(Target{Kind: TargetTapFD}); err != nil || n.net != nil || n.user != nil {
		t.Errorf("tapfd: %v, %v", n, err)
	}
	// The owner of our network namespace is above or the same as our user
	// namespace; either way it is found or refused by name.
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := owner(f); err == nil || !strings.Contains(err.Error(), "ioctl(NS_GET_USERNS) on /dev/null") {
		t.Errorf("owner of /dev/null: %v", err)
	}
}
