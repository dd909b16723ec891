package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// ownNamespaces names those that are neither the caller's nor the target's.
func ownNamespaces(t *testing.T, pid int, g *lab.Guest) string {
	t.Helper()
	var own []string
	for _, kind := range comparedNamespaces {
		ns := namespaceOf(t, pid, kind)
		if ns != namespaceOf(t, os.Getpid(), kind) && ns != namespaceOf(t, g.PID, kind) {
			own = append(own, kind)
		}
	}
	return strings.Join(own, " ")
}

func rootNames(t *testing.T, pid int) string {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/root", pid))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// rootFlags are the harmless ones of those that the root mount has.
func rootFlags(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		t.Fatal(err)
	}
	var flags []string
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line) // proc_pid_mountinfo(5)
		if fields[4] != "/" {
			continue
		}
		flags = nil // this one lies on top
		for _, flag := range []string{"ro", "nosuid", "nodev", "noexec"} {
			if slices.Contains(strings.Split(fields[5], ","), flag) {
				flags = append(flags, flag)
			}
		}
	}
	return strings.Join(flags, " ")
}

// holds tells whether a process has a descriptor of the directory dir.
func holds(t *testing.T, pid int, dir string) bool {
	t.Helper()
	var want unix.Stat_t
	if err := unix.Stat(dir, &want); err != nil {
		t.Fatal(err)
	}
	for _, fd := range descriptors(t, pid) {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil && st.Dev == want.Dev && st.Ino == want.Ino {
			return true
		}
	}
	return false
}
