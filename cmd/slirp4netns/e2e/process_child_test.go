package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
	"github.com/slirp4netns-go/slirp4netns/ipc"
	"github.com/slirp4netns-go/slirp4netns/ipc/door"
)

// fakeDir has a slirp4netns whose child is testdata/fakechild.
const fakeDir = "/run/lab/fake"

// buildFake builds both, once.
var buildFake = sync.OnceValue(func() error {
	if err := os.Mkdir(fakeDir, 0o755); err != nil {
		return err
	}
	child := filepath.Join(fakeDir, "child")
	for pkg, b := range map[string]struct{ out, flags string }{
		"./testdata/fakechild": {child, ""},
		"..":                   {filepath.Join(fakeDir, "slirp4netns"), " -X github.com/slirp4netns-go/slirp4netns/parent.childPath=" + child},
	} {
		cmd := exec.Command("go", "build", "-o", b.out, "-ldflags", door.EntryFlag+b.flags, pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
		}
	}
	return nil
})

// fake is the path of a slirp4netns whose child behaves as mode says.
func fake(t *testing.T, mode string) string {
	t.Helper()
	if err := buildFake(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(fakeDir, "mode"), []byte(mode), 0o644); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(fakeDir, "slirp4netns")
}

func TestBadChild(t *testing.T) {
	for mode, want := range map[string]string{
		"killed":          "the child process was killed by signal 9 (killed)\nchild failed(137)\n",
		"status":          "the child process ended without making a TAP, with status 3\nchild failed(3)\n",
		"hang":            "the child process did not answer: ipc: no answer from the child",
		"garbage":         "the child process did not answer: ipc: no answer from the child",
		"refuse":          "the child's own words\nchild failed(1)\n",
		"not a TAP":       "the child process sent a wrong answer: not a TAP device: ioctl(TUNGETIFF): ",
		"other interface": `the child process sent a wrong answer: TAP "lie0" with a header of 10 bytes, said to be "tap0" with 10`,
		"two TAPs":        `the child process sent a wrong answer: ipc: TAP "lie0", asked for "tap0"`,
		"unknown field":   "the child process sent a wrong answer: ipc: unknown fields in TapReply",
	} {
		t.Run(mode, func(t *testing.T) {
			g := lab.NewGuest(t, lab.GuestOptions{})
			binary := fake(t, mode)
			start := time.Now()
			out, status := runToEnd(t, g.UID, binary, strconv.Itoa(g.PID), "tap0")
			if !strings.Contains(out, want) || !strings.Contains(out, "\nchild failed(") || status != 1 {
				t.Errorf("status %d after %v, %q, want 1 and %q", status, time.Since(start), out, want)
			}
			if left := processesOf(t, filepath.Join(fakeDir, "child")); len(left) > 0 {
				t.Errorf("children are left: %v", left)
			}
		})
	}
}

// TestSeparateChild is the build that distributions may want: the privileged
// stage is another program.
func TestSeparateChild(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	s := lab.StartSlirp(t, lab.SlirpOptions{Binary: fake(t, "honest"), UID: g.UID, Args: []string{"-c", strconv.Itoa(g.PID), "tap0"}})
	checkConfigured(t, g)
	checkReachesHost(t, g)
	checkNoChildren(t, s.Process.Pid)
}

// TestChildInherits passes much, and the child gets what is its own: 0 to 2,
// and the two sockets. The namespaces' descriptors are closed by the door.
func TestChildInherits(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	leak, err := os.Open("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	defer leak.Close()
	files := make([]*os.File, 30)
	for i := range files {
		files[i] = leak
	}
	s := lab.StartSlirp(t, lab.SlirpOptions{Binary: fake(t, "files"), UID: g.UID, Files: files,
		Args: []string{"-c", strconv.Itoa(g.PID), "tap0"}})
	s.Stop()
	if want := "FILES [0 1 2 3 4]\n"; !strings.Contains(s.Log(), want) {
		t.Errorf("%q, want %q", s.Log(), want)
	}
}

// TestGuestRootCannotTouchTheChild holds the real child at the point where it
// waits for its request, inside the guest's namespaces.
func TestGuestRootCannotTouchTheChild(t *testing.T) {
	lab.RequireBinary(t)
	g := lab.NewGuest(t, lab.GuestOptions{})
	pid, _ := heldChild(t, g)
	for _, kind := range []string{"user", "net"} {
		got, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
		want, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", g.PID, kind))
		if err != nil || got != want {
			t.Errorf("the child is in %s, %v, want the guest's %s", got, err, want)
		}
	}
	for fd, file := range openFiles(t, pid) {
		switch {
		case fd <= 2, fd == 3, fd == 4, strings.HasPrefix(file, "anon_inode:[event"):
		case strings.HasPrefix(file, "socket:"): // of ttrpc, a duplicate of 3
		default:
			t.Errorf("fd %d of the child is %s", fd, file)
		}
	}
	for _, c := range []struct {
		want string
		args []string
	}{
		{"Operation not permitted", []string{"strace", "-o", "/dev/null", "-p", strconv.Itoa(pid)}},
		{"Permission denied", []string{"ls", fmt.Sprintf("/proc/%d/root/", pid)}},
		{"Permission denied", []string{"stat", "-L", fmt.Sprintf("/proc/%d/fd/3", pid)}},
		{"Permission denied", []string{"cat", fmt.Sprintf("/proc/%d/environ", pid)}},
	} {
		out, err := g.Command(t.Context(), c.args[0], c.args[1:]...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.want) {
			t.Errorf("guest root, %v: %v %q, want %q", c.args, err, out, c.want)
		}
	}
	// So would a process of his own be within his reach.
	if out, err := g.Command(t.Context(), "ls", fmt.Sprintf("/proc/%d/root/", g.PID)).CombinedOutput(); err != nil {
		t.Errorf("guest root does not reach his own process: %v %q", err, out)
	}
}

// heldChild starts the child of bin/slirp4netns as the parent does, and does
// not speak to it.
func heldChild(t *testing.T, g *lab.Guest) (pid int, hangUp func()) {
	t.Helper()
	ours, theirs, err := ipc.Pairs()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	t.Cleanup(ours.Close)
	var ns [2]*os.File
	for i, path := range []string{g.UserNS(), g.Path()} {
		if ns[i], err = os.Open(path); err != nil {
			t.Fatal(err)
		}
		defer ns[i].Close()
	}
	p, err := door.Spawn(door.Request{Stage: ipc.ChildStage, UserNS: ns[0], NetNS: ns[1]}, lab.Binary,
		[]string{"child"}, nil, ipc.ChildFiles(theirs), lab.Command(context.Background(), g.UID, "true").SysProcAttr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.End(0) })
	// It is up when ttrpc has a duplicate of its socket.
	await(t, "the child waits for a request", func() bool {
		sockets := 0
		for _, file := range openFiles(t, p.Pid) {
			if strings.HasPrefix(file, "socket:") {
				sockets++
			}
		}
		return sockets == 3
	})
	return p.Pid, ours.Close
}

// TestChildEndsWithItsParent: the child has nobody left to answer to.
func TestChildEndsWithItsParent(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	pid, hangUp := heldChild(t, g)
	hangUp()
	await(t, "the child has ended", func() bool {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err == nil && strings.Contains(string(b), ") Z ")
	})
}

// processesOf lists the processes that run the program at path.
func processesOf(t *testing.T, path string) (pids []int) {
	t.Helper()
	names, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		pid, err := strconv.Atoi(n.Name())
		if err != nil {
			continue
		}
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && exe == path {
			pids = append(pids, pid)
		}
	}
	return pids
}

// await waits for something that takes milliseconds.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not after 5 s: %s", what)
		}
	}
}
