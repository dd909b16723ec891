package seccomp

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// emulators are of the architectures that we build for and do not have here.
var emulators = map[string]string{
	"amd64": "qemu-x86_64-static", "arm64": "qemu-aarch64-static", "arm": "qemu-arm-static",
	"riscv64": "qemu-riscv64-static", "ppc64le": "qemu-ppc64le-static", "s390x": "qemu-s390x-static",
}

// emulator runs a program of arch.
func emulator(t *testing.T, arch string) string {
	t.Helper()
	path, err := exec.LookPath(emulators[arch])
	if err != nil {
		t.Fatalf("%v: install qemu-user-static", err)
	}
	return path
}

// TestInterpretedEverywhere runs the tests that interpret the filter where
// numbers, byte order and the size of a word are others.
func TestInterpretedEverywhere(t *testing.T) {
	for _, a := range architectures {
		if a == arch {
			continue // those are the tests beside this one
		}
		t.Run(a, func(t *testing.T) {
			binary := filepath.Join(t.TempDir(), "test")
			goTool(t, a, "test", "-c", "-o", binary, ".")
			cmd := exec.Command(emulator(t, a), binary, "-test.v",
				"-test.run", "^Test(DangerousCallsAreDenied|AllowedCalls|Actions|Directory|Optional|Rules|NoNumberIsIdle|OneBitMatters|Program|AssembleErrors)$")
			out, ws := end(t, cmd)
			if ws != 0 || strings.Count(out, "--- PASS") != 10 {
				t.Errorf("wait status %#x\n%s", ws, out)
			}
		})
	}
}

// TestRuntimeEverywhere compares the rules with the calls that the emulator
// sees when the victim works. It has no filters itself.
func TestRuntimeEverywhere(t *testing.T) {
	for _, a := range architectures {
		if a == arch {
			continue // the real kernel has tried those: TestVictimWorks
		}
		t.Run(a, func(t *testing.T) {
			allowed := make(map[string]bool)
			for _, r := range Rules(Options{PID: testPID, Directories: nil}) {
				if r.on(a) {
					allowed[r.Call] = true
				}
			}
			args := []string{"-strace", buildVictim(t, a), "none", "work"}
			if a == "s390x" {
				args = append(args, "interfaces") // the emulator garbles netlink messages there
			}
			out, ws := end(t, exec.Command(emulator(t, a), args...))
			if !ws.Signaled() || ws.Signal() != unix.SIGTERM {
				t.Fatalf("wait status %#x, want SIGTERM\n%s", ws, out[max(0, len(out)-1000):])
			}
			calls := callsSeen(t, out)
			for _, call := range calls {
				if !allowed[call] {
					t.Errorf("%s is called and not allowed", call)
				}
			}
			if len(calls) < 25 {
				t.Errorf("only %d calls were seen: %v", len(calls), calls)
			}
		})
	}
}

// traced is a call in the emulator's log: the thread, and the name. Threads
// write at the same time, so it may be anywhere in a line.
var traced = regexp.MustCompile(`\d+ ([a-z][a-z0-9_]*)\(`)

// callsSeen are those of the log after the point where there would be a filter.
func callsSeen(t *testing.T, log string) (calls []string) {
	t.Helper()
	const last = " prctl(" // PR_SET_NO_NEW_PRIVS
	_, log, ok := strings.Cut(log, last)
	if !ok {
		t.Fatalf("no %s in the emulator's log", last)
	}
	for _, m := range traced.FindAllStringSubmatch(log, -1) {
		calls = append(calls, m[1])
	}
	slices.Sort(calls)
	return slices.Compact(calls)
}
