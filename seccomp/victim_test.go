package seccomp

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/seccomp/internal/dangerous"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if victimDir != "" {
		os.RemoveAll(victimDir)
	}
	os.Exit(code)
}

var (
	victimsMu sync.Mutex
	victims   = map[string]string{} // by GOARCH; guarded by victimsMu
	victimDir string                // guarded by victimsMu
)

// buildVictim builds testdata/victim for arch once, in a directory that
// TestMain removes.
func buildVictim(t *testing.T, arch string) string {
	t.Helper()
	victimsMu.Lock()
	defer victimsMu.Unlock()
	if path, ok := victims[arch]; ok {
		return path
	}
	if victimDir == "" {
		var err error
		if victimDir, err = os.MkdirTemp("", "victim"); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(victimDir, arch)
	goTool(t, arch, "build", "-o", path, "./testdata/victim")
	victims[arch] = path
	return path
}

// goTool runs go for an architecture.
func goTool(t *testing.T, arch string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v for %s: %v\n%s", cmd.Args, arch, err, out)
	}
}

// victim runs it, and returns what it printed and how it ended.
func victim(t *testing.T, args ...string) (string, syscall.WaitStatus) {
	t.Helper()
	return end(t, exec.Command(buildVictim(t, arch), args...))
}

func end(t *testing.T, cmd *exec.Cmd) (string, syscall.WaitStatus) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("%v did not start", cmd.Args)
	}
	return strings.TrimSpace(out.String()), cmd.ProcessState.Sys().(syscall.WaitStatus)
}

// TestVictim tries each dangerous call: the process is killed, or the call
// fails with EPERM.
func TestVictim(t *testing.T) {
	for _, c := range dangerous.All() {
		t.Run(c.Name, func(t *testing.T) {
			if out, ws := victim(t, "kill", "call", c.Name); !ws.Signaled() || ws.Signal() != unix.SIGSYS || out != "" {
				t.Errorf("kill: %q, wait status %#x, want SIGSYS", out, ws)
			}
			if out, ws := victim(t, "errno", "call", c.Name); out != "EPERM" || ws != 0 {
				t.Errorf("errno: %q, wait status %#x, want EPERM", out, ws)
			}
		})
	}
}

// TestVictimLogs lets a call pass: what would have been killed fails as the
// kernel has it.
func TestVictimLogs(t *testing.T) {
	if out, ws := victim(t, "log", "call", "execve"); out != "EFAULT" || ws != 0 {
		t.Errorf("%q, wait status %#x, want EFAULT", out, ws)
	}
}

// TestVictimOldThread is a thread that was there before the filter.
func TestVictimOldThread(t *testing.T) {
	if out, ws := victim(t, "kill", "thread", "execve"); !ws.Signaled() || ws.Signal() != unix.SIGSYS {
		t.Errorf("%q, wait status %#x, want SIGSYS", out, ws)
	}
	if out, ws := victim(t, "errno", "thread", "execve"); out != "EPERM" || ws != 0 {
		t.Errorf("%q, wait status %#x, want EPERM", out, ws)
	}
}

// TestVictimWorks: all that a data plane and the runtime do is allowed. It ends
// itself by SIGTERM.
func TestVictimWorks(t *testing.T) {
	if out, ws := victim(t, "kill", "work"); !ws.Signaled() || ws.Signal() != unix.SIGTERM || out != "" {
		t.Errorf("%q, wait status %#x, want SIGTERM", out, ws)
	}
}
