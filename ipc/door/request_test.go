package door_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

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
			p.End(0)
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

func TestProcessEnd(t *testing.T) {
	for _, c := range []struct {
		name     string
		argv     []string
		patience time.Duration
		killed   bool
		status   unix.WaitStatus
	}{
		{"by itself", []string{"sh", "-c", "exit 3"}, 10 * time.Second, false, 3 << 8},
		{"by a signal", []string{"sh", "-c", "kill -TERM $$"}, 10 * time.Second, false, unix.WaitStatus(unix.SIGTERM)},
		{"too late", []string{"sleep", "1000"}, 50 * time.Millisecond, true, unix.WaitStatus(unix.SIGKILL)},
		{"at once", []string{"sleep", "1000"}, 0, true, unix.WaitStatus(unix.SIGKILL)},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, err := exec.LookPath(c.argv[0])
			if err != nil {
				t.Fatal(err)
			}
			p, err := door.Spawn(door.Request{Stage: "x"}, path, c.argv, nil, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			status, killed := p.End(c.patience)
			if status != c.status || killed != c.killed {
				t.Errorf("status %#x, killed %v, want %#x, %v", status, killed, c.status, c.killed)
			}
			if err := unix.Kill(p.Pid, 0); err != unix.ESRCH {
				t.Errorf("process %d is still there: %v", p.Pid, err)
			}
		})
	}
}
