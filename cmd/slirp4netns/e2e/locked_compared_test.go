package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// compared is a program of the table "Compared" in docs/security.md, and what
// its cells say.
type compared struct {
	// start starts it, as the guest's user, with a descriptor of its caller's and,
	// where it has one, the control socket api. It returns the PID, and what ends it.
	start func(t *testing.T, g *lab.Guest, inherited *os.File, api string) (pid int, stop func())
	// namespaces are those that are neither the caller's nor the target's, in the
	// order of comparedNamespaces.
	namespaces string
	root       string // the names in its root directory
	flags      string // of the root mount, of ro, nosuid, nodev and noexec
	status     map[string]string
	debugger   string // what PTRACE_ATTACH says to the guest's root, and /proc/PID/root
	inherits   bool
	leaves     bool // the control socket's file
}

// comparedNamespaces are the names in /proc/PID/ns that the table is about.
var comparedNamespaces = []string{"mnt", "ipc", "uts", "pid_for_children", "cgroup", "net"}

// fullSet stands for all capabilities that the kernel knows.
const fullSet = "full"

// comparedPrograms are the table's columns.
func comparedPrograms() map[string]compared {
	ofC := make(map[string]string)
	for name, value := range lockedStatus {
		ofC[name] = value
	}
	ofC["CapInh"] = ofC["CapEff"]
	const sysAdminAndBind = "0000000000200400" // CAP_SYS_ADMIN, CAP_NET_BIND_SERVICE
	return map[string]compared{
		"this program": {
			start: startCompared(lab.Binary), namespaces: "mnt", root: "etc run", flags: "ro nosuid nodev noexec",
			status: lockedStatus, debugger: "EPERM EACCES",
		},
		"the C program": {
			start: startCompared(lab.Reference), namespaces: "mnt", root: "etc run", flags: "ro",
			status: ofC, debugger: "done done", inherits: true, leaves: true,
		},
		"pasta": {
			start: startPasta, namespaces: "mnt ipc uts", root: "", flags: "ro nosuid nodev noexec",
			status: map[string]string{
				"CapInh": "0000000000000000", "CapPrm": sysAdminAndBind, "CapEff": sysAdminAndBind, "CapBnd": fullSet,
				"CapAmb": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2",
			},
			debugger: "EPERM EACCES", inherits: true,
		},
	}
}

// startCompared is for both slirp4netns.
func startCompared(binary string) func(*testing.T, *lab.Guest, *os.File, string) (int, func()) {
	return func(t *testing.T, g *lab.Guest, inherited *os.File, api string) (int, func()) {
		s := lab.StartSlirp(t, lab.SlirpOptions{Binary: binary, UID: g.UID, Files: []*os.File{inherited},
			Args: append(bothLocks[:2:2], "-c", "-a", api, strconv.Itoa(g.PID), "tap0")})
		return s.Process.Pid, func() { s.Stop() }
	}
}

// startPasta has pasta answer for the same addresses, in the foreground.
func startPasta(t *testing.T, g *lab.Guest, inherited *os.File, _ string) (int, func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var said lab.Log
	cmd := lab.Command(ctx, g.UID, "pasta", "-f", "-4", "--config-net", "-q", "-a", "10.0.2.100", "-n", "24", "-g", "10.0.2.2",
		"-t", "none", "-u", "none", "-T", "none", "-U", "none", strconv.Itoa(g.PID))
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = &said, &said, []*os.File{inherited}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() { cancel(); cmd.Wait() }
	t.Cleanup(stop)
	// It carries traffic when all its locks are in force.
	await(t, "pasta carries traffic", func() bool {
		c, err := g.Dial("tcp4", "10.0.2.2:8000", commandTimeout)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return cmd.Process.Pid, stop
}

// TestCompared is what /proc, and the guest's root, say of this program, of the
// C program with both options and of pasta, each started by an ordinary user for
// a guest of his own: the table "Compared" in docs/security.md.
func TestCompared(t *testing.T) {
	last, err := os.ReadFile("/proc/sys/kernel/cap_last_cap")
	if err != nil {
		t.Fatal(err)
	}
	highest, err := strconv.Atoi(strings.TrimSpace(string(last)))
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprintf("%016x", uint64(1)<<(highest+1)-1)
	for name, c := range comparedPrograms() {
		t.Run(name, func(t *testing.T) {
			g := lab.NewGuest(t, byUser)
			api := filepath.Join(lab.TempDir(t, user), "api")
			callers := lab.TempDir(t, user)
			inherited, err := os.Open(callers)
			if err != nil {
				t.Fatal(err)
			}
			defer inherited.Close()
			pid, stop := c.start(t, g, inherited, api)

			status := threadStatus(fmt.Sprintf("/proc/%d/status", pid))
			for field, want := range c.status {
				if want == fullSet {
					want = all
				}
				if got := status[field]; got != want {
					t.Errorf("%s %s, want %s", field, got, want)
				}
			}
			if got, want := namespaceOf(t, pid, "user"), namespaceOf(t, g.PID, "user"); got != want {
				t.Errorf("in %s, want the target's %s", got, want)
			}
			if got := ownNamespaces(t, pid, g); got != c.namespaces {
				t.Errorf("own namespaces: %q, want %q", got, c.namespaces)
			}
			if got := rootNames(t, pid); got != c.root {
				t.Errorf("in the root directory: %q, want %q", got, c.root)
			}
			if got := rootFlags(t, pid); got != c.flags {
				t.Errorf("the root is mounted %q, want %q", got, c.flags)
			}
			said := runTracer(t, g, pid)
			if got := said["PTRACE_ATTACH"] + " " + said["root"]; got != c.debugger {
				t.Errorf("the guest's root, attaching and looking at the root: %q, want %q", got, c.debugger)
			}
			if got := holds(t, pid, callers); got != c.inherits {
				t.Errorf("it holds the descriptor of its caller's: %t, want %t", got, c.inherits)
			}
			stop()
			if _, err := os.Lstat(api); (err == nil) != c.leaves {
				t.Errorf("the control socket at the end: %v, want it left behind: %t", err, c.leaves)
			}
		})
	}
}

// TestComparedByPath: with a path in place of a PID, the C program's sandbox fails
// where the user is ordinary.
func TestComparedByPath(t *testing.T) {
	g := lab.NewGuest(t, byUser)
	out, status := runToEnd(t, user, lab.Reference, append(bothLocks[:2:2], pathAndUserNS(g)...)...)
	if !strings.Contains(out, "setegid(0)") || status == 0 {
		t.Errorf("status %d, it said\n%swant setegid(0) to fail", status, out)
	}
}

// TestComparedFilter: the C program says which calls its filter forbids, and
// allows all others.
func TestComparedFilter(t *testing.T) {
	g := lab.NewGuest(t, byUser)
	s := lab.StartSlirp(t, lab.SlirpOptions{Binary: lab.Reference, UID: user,
		Args: append(bothLocks[:2:2], "-c", strconv.Itoa(g.PID), "tap0")})
	s.Stop()
	const intro = "The following syscalls are blocked: "
	_, list, _ := strings.Cut(s.Log(), intro)
	list, _, _ = strings.Cut(list, "\n")
	forbidden := strings.Fields(list)
	if !slices.Contains(forbidden, "execve") {
		t.Fatalf("%q is not in\n%s", intro, s.Log())
	}
	for _, call := range []string{"bpf", "clone", "io_uring_setup", "mprotect"} {
		if slices.Contains(forbidden, call) {
			t.Errorf("%s is among %q", call, forbidden)
		}
	}
}
