package door_test

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/ipc/door"
)

func TestSpawnRefuses(t *testing.T) {
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, c := range []struct {
		name  string
		r     door.Request
		files int
		want  string
	}{
		{"no stage", door.Request{}, 0, "without a stage"},
		{"two user namespaces", door.Request{Stage: "x", OwnUserNS: true, UserNS: null}, 0, "another's"},
		{"too many files", door.Request{Stage: "x"}, 21, "at most 20"},
	} {
		p, err := door.Spawn(c.r, "/bin/true", []string{"true"}, nil, make([]*os.File, c.files), nil)
		if err == nil {
			p.Wait()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestExecRefuses(t *testing.T) {
	// Tests do not run on the main thread.
	if err := door.Exec(door.Request{Stage: "x"}, "/bin/true", nil, nil, nil); err == nil || !strings.Contains(err.Error(), "main thread") {
		t.Errorf("Exec off the main thread: %v", err)
	}
}

func TestAvoid(t *testing.T) {
	for _, c := range []struct {
		fd   int
		keep bool
	}{{19, true}, {20, false}, {21, false}, {22, true}} {
		null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unix.FcntlInt(uintptr(c.fd), unix.F_GETFD, 0); err == nil {
			t.Fatalf("fd %d is in use", c.fd)
		}
		if err := unix.Dup3(null, c.fd, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		unix.Close(null)
		got, err := door.Avoid(c.fd)
		if err != nil {
			t.Fatal(err)
		}
		if (got == c.fd) != c.keep || got < 19 || got == 20 || got == 21 {
			t.Errorf("Avoid(%d) = %d", c.fd, got)
		}
		if flags, err := unix.FcntlInt(uintptr(got), unix.F_GETFD, 0); err != nil || flags != unix.FD_CLOEXEC {
			t.Errorf("Avoid(%d): flags %d, %v", c.fd, flags, err)
		}
		unix.Close(got)
	}
}
