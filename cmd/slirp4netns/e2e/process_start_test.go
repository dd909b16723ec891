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
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// startCase is one way to be started. All of them must end with a guest that
// reaches the host.
type startCase struct {
	name  string
	guest lab.GuestOptions
	uid   int                                     // who runs slirp4netns
	args  func(g *lab.Guest) []string             // nil: -c PID tap0
	setup func(t *testing.T, g *lab.Guest)        // before the start
	wrap  func(t *testing.T, g *lab.Guest) string // a program to run in its place
}

var (
	byUser  = lab.GuestOptions{}
	byRoot  = lab.GuestOptions{Root: true, Kind: lab.NoUserNS}
	current = lab.GuestOptions{Kind: lab.MapCurrent}
	nobody  = lab.GuestOptions{Kind: lab.Unmapped}
)

const user = lab.OrdinaryUID

var startCases = []startCase{
	{name: "user, PID", guest: byUser, uid: user},
	{name: "user, PID, mapped to himself", guest: current, uid: user},
	{name: "user, PID, nobody mapped", guest: nobody, uid: user},
	{name: "user, path, nobody mapped", guest: nobody, uid: user, args: pathOnly},
	{name: "user, path and userns-path, nobody mapped", guest: nobody, uid: user, args: pathAndUserNS},
	{name: "root, PID, nobody mapped", guest: nobody, uid: 0},
	{name: "root, PID, no user namespace", guest: byRoot, uid: 0},
	{name: "root, PID, root's user namespace", guest: lab.GuestOptions{Root: true}, uid: 0},
	{name: "root, PID, another user's namespaces", guest: byUser, uid: 0},
	{name: "user, path and userns-path", guest: byUser, uid: user, args: pathAndUserNS},
	{name: "user, path and userns-path, mapped to himself", guest: current, uid: user, args: pathAndUserNS},
	{name: "user, path", guest: byUser, uid: user, args: pathOnly},
	{name: "user, path, mapped to himself", guest: current, uid: user, args: pathOnly},
	{name: "root, path, no user namespace", guest: byRoot, uid: 0, args: pathOnly},
	{name: "root, path, another user's namespaces", guest: byUser, uid: 0, args: pathOnly},
	{name: "root, path and userns-path", guest: byUser, uid: 0, args: pathAndUserNS},
	{name: "user, PID and userns-path", guest: byUser, uid: user, args: func(g *lab.Guest) []string {
		return []string{"-c", "--userns-path=" + g.UserNS(), strconv.Itoa(g.PID), "tap0"}
	}},
	// slirp4netns: it is only the network namespace that has to be joined.
	{name: "root, userns-path is no namespace", guest: byRoot, uid: 0, args: func(g *lab.Guest) []string {
		return []string{"-c", "--userns-path=/etc/hostname", "--netns-type=path", g.Path(), "tap0"}
	}},
	{name: "user, TAP made before", guest: byUser, uid: user, setup: makeTAP},
	{name: "user, TAP made before, mapped to himself", guest: byUser, uid: user, setup: makeTAP, args: pathOnly},
	{name: "root, TAP made before", guest: byRoot, uid: 0, setup: makeTAP},
	// The target's user namespace is our own, which nobody can join.
	{name: "inside the guest's user namespace, PID", guest: byUser, uid: user, wrap: insideUserNS},
	{name: "inside the guest's user namespace, path", guest: byUser, uid: user, wrap: insideUserNS, args: pathOnly},
	{name: "inside the guest's user namespace, path and userns-path", guest: byUser, uid: user, wrap: insideUserNS, args: pathAndUserNS},
}

func pathOnly(g *lab.Guest) []string {
	return []string{"-c", "--netns-type=path", g.Path(), "tap0"}
}

func pathAndUserNS(g *lab.Guest) []string {
	return []string{"-c", "--netns-type=path", "--userns-path=" + g.UserNS(), g.Path(), "tap0"}
}

func makeTAP(t *testing.T, g *lab.Guest) {
	g.Run(t, commandTimeout, "ip", "tuntap", "add", "name", "tap0", "mode", "tap")
}

// insideUserNS is a program that runs slirp4netns in the guest's user
// namespace and the host's network namespace.
func insideUserNS(t *testing.T, g *lab.Guest) string {
	return script(t, g.UID, fmt.Sprintf(`exec nsenter -U --preserve-credentials -t %d -- %s "$@"`, g.PID, lab.Binary))
}

// script is a shell script with the given body.
func script(t *testing.T, uid int, body string) string {
	t.Helper()
	path := filepath.Join(lab.TempDir(t, uid), "script")
	if err := lab.WriteExecutable(path, "#!/bin/sh\n"+body+"\n"); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStart(t *testing.T) {
	for _, c := range startCases {
		t.Run(c.name, func(t *testing.T) {
			g := lab.NewGuest(t, c.guest)
			if c.setup != nil {
				c.setup(t, g)
			}
			o := lab.SlirpOptions{UID: c.uid, Args: []string{"-c", strconv.Itoa(g.PID), "tap0"}}
			if c.args != nil {
				o.Args = c.args(g)
			}
			if c.wrap != nil {
				o.Binary = c.wrap(t, g)
			}
			leak, err := os.Open("/etc/passwd")
			if err != nil {
				t.Fatal(err)
			}
			defer leak.Close()
			o.Files = []*os.File{leak}
			s := lab.StartSlirp(t, o)
			checkConfigured(t, g)
			checkOpenFiles(t, s.Process.Pid) // before there are flows
			checkReachesHost(t, g)
			checkStayedOutside(t, s.Process.Pid, c)
			checkNoChildren(t, s.Process.Pid)
		})
	}
}

// checkConfigured is what -c promises.
func checkConfigured(t *testing.T, g *lab.Guest) {
	t.Helper()
	for _, c := range []struct{ args, want string }{
		{"-o -4 addr show dev lo", "127.0.0.1/8"},
		{"-o link show dev lo", ",UP"},
		{"-o link show dev tap0", "mtu 1500"},
		{"-o link show dev tap0", ",UP"},
		{"-o -4 addr show dev tap0", "inet 10.0.2.100/24 brd 10.0.2.255 scope global tap0"},
		{"route show default", "default via 10.0.2.2 dev tap0"},
	} {
		if got := g.Run(t, commandTimeout, "ip", strings.Fields(c.args)...); !strings.Contains(got, c.want) {
			t.Errorf("ip %s: %q, want %q", c.args, got, c.want)
		}
	}
}

func checkReachesHost(t *testing.T, g *lab.Guest) {
	t.Helper()
	c, err := g.Dial("tcp4", "10.0.2.2:8000", commandTimeout)
	if err != nil {
		t.Errorf("the guest does not reach the host: %v", err)
		return
	}
	c.Close()
}

// checkStayedOutside compares the namespaces with those of a process that is
// started in the same way. A locked one has others: see TestLocked.
func checkStayedOutside(t *testing.T, pid int, c startCase) {
	t.Helper()
	if lab.Locked() {
		return
	}
	for _, kind := range []string{"user", "net", "mnt", "pid", "ipc", "uts", "cgroup"} {
		if kind == "user" && c.wrap != nil {
			continue // that is not the caller's
		}
		got, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
		if err != nil {
			t.Error(err)
			continue
		}
		want, err := lab.Command(context.Background(), c.uid, "readlink", "/proc/self/ns/"+kind).Output()
		if err != nil {
			t.Error(err)
			continue
		}
		if got != strings.TrimSpace(string(want)) {
			t.Errorf("in %s, want the caller's %s", got, want)
		}
	}
}

// checkOpenFiles allows what is named: standard files, the exit-fd, one TAP,
// and what the runtime and the pollers need. The ready-fd is closed.
func checkOpenFiles(t *testing.T, pid int) {
	t.Helper()
	files := openFiles(t, pid)
	taps := 0
	for fd, file := range files {
		switch {
		case fd <= 2 || fd == 4:
		case file == "/dev/net/tun":
			taps++
		case file == "anon_inode:[eventpoll]", file == "anon_inode:[eventfd]", file == "anon_inode:[timerfd]", file == "anon_inode:inotify":
		default:
			t.Errorf("fd %d is %s", fd, file)
		}
	}
	if taps != 1 {
		t.Errorf("%d TAPs are open, want 1: %v", taps, files)
	}
	if len(files) > 15 {
		t.Errorf("%d open files: %v", len(files), files)
	}
}

// openFiles maps descriptors to what they are.
func openFiles(t *testing.T, pid int) map[int]string {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[int]string)
	for _, n := range names {
		fd, err := strconv.Atoi(n.Name())
		if err != nil {
			t.Fatal(err)
		}
		// One that is closed by now is not open.
		if file, err := os.Readlink(filepath.Join(dir, n.Name())); err == nil {
			files[fd] = file
		}
	}
	return files
}

// checkNoChildren finds zombies, too. One that is dead already may still be reaped
// a moment after the ready-fd.
func checkNoChildren(t *testing.T, pid int) {
	t.Helper()
	await(t, "it has no children", func() bool {
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil {
			t.Fatal(err)
		}
		return !slices.ContainsFunc(tasks, func(task os.DirEntry) bool {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
			return err == nil && len(b) > 0
		})
	})
}

// TestWithoutConfigure leaves the TAP as the kernel makes it.
func TestWithoutConfigure(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	g.Slirp(t, "--mtu=9000")
	got := g.Run(t, commandTimeout, "ip", "-o", "addr", "show")
	link := g.Run(t, commandTimeout, "ip", "-o", "link", "show", "dev", "tap0")
	if strings.Contains(got, "10.0.2.100") || !strings.Contains(link, "mtu 1500") || strings.Contains(link, ",UP") {
		t.Errorf("without -c: %s%s", got, link)
	}
}

// TestConfigureOptions is -c with all that it takes.
func TestConfigureOptions(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	g.Slirp(t, "-c", "--mtu=65520", "--cidr=10.9.8.0/22", "--macaddress=02:00:00:00:00:77")
	link := g.Run(t, commandTimeout, "ip", "-o", "link", "show", "dev", "tap0")
	for _, want := range []string{"mtu 65520", "02:00:00:00:00:77"} {
		if !strings.Contains(link, want) {
			t.Errorf("%q, want %q", link, want)
		}
	}
	if got := g.Run(t, commandTimeout, "ip", "-o", "-4", "addr", "show", "dev", "tap0"); !strings.Contains(got, "10.9.8.100/22") {
		t.Errorf("address %q", got)
	}
	if got := g.Run(t, commandTimeout, "ip", "route", "show", "default"); !strings.Contains(got, "via 10.9.8.2") {
		t.Errorf("route %q", got)
	}
}

// TestAmbientCapabilities is a user who has capabilities without being root,
// inside a namespace that does not map him to root: the child has to keep
// them over exec.
func TestAmbientCapabilities(t *testing.T) {
	o := lab.SlirpOptions{UID: user, Binary: script(t, user,
		`exec unshare -U --map-current-user --keep-caps -- sh -c '
			unshare -n --keep-caps sleep 600 </dev/null >/dev/null 2>&1 3>&- 4<&- &
			until [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep .01; done
			exec slirp4netns "$@" $! tap0' sh "$@"`)}
	o.Args = []string{"-c"}
	lab.StartSlirp(t, o)
}

// TestWithoutCapabilities is the same user without them: a clear error, and why.
func TestWithoutCapabilities(t *testing.T) {
	g := lab.NewGuest(t, current)
	enter := script(t, user, fmt.Sprintf(`exec nsenter -U --preserve-credentials -t %d -- %s "$@"`, g.PID, lab.Binary))
	out, status := runToEnd(t, user, enter, "-c", strconv.Itoa(g.PID), "tap0")
	if want := fmt.Sprintf("setns(CLONE_NEWNET): Operation not permitted\nthe network namespace of PID %d belongs to our own user namespace:"+
		" to join it takes CAP_SYS_ADMIN there, which root has\nchild failed(1)\n", g.PID); out != want || status != 1 {
		t.Errorf("status %d, %q, want %q", status, out, want)
	}
}

// afterLocks is what a slirp4netns has said without what lab.Locks has it say
// first.
func afterLocks(said []byte) string {
	if !lab.Locked() {
		return string(said)
	}
	return strings.TrimPrefix(string(said), "WARNING: Support for seccomp is experimental\n")
}

// runToEnd runs a slirp4netns that must fail within 5 s, with the locks where
// they are wanted, and returns what it said on stdout and stderr together.
func runToEnd(t *testing.T, uid int, binary string, args ...string) (string, int) {
	t.Helper()
	const limit = 5 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := lab.Command(ctx, uid, binary, append(lab.Locks(), args...)...)
	out, _ := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Errorf("%v: no end after %v", cmd.Args, limit)
	}
	return afterLocks(out), cmd.ProcessState.ExitCode()
}

// TestWithoutIPv6: no kernel has IPv6 on an interface with so small an MTU. We
// say so and go on, and the guest is not told of a router.
func TestWithoutIPv6(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	s := g.Slirp(t, "-c", "-6", "--mtu=1000")
	if !eventually(func() bool {
		return strings.Contains(s.Log(), "continuing without IPv6, which needs an MTU of at least 1280 bytes, not 1000\n")
	}, false) {
		t.Errorf("no warning: %s", s.Log())
	}
	if got := curl(t, g, "-4", "http://198.51.100.2/"); got != lab.InetPage {
		t.Errorf("%q, want %q", got, lab.InetPage)
	}
	if got := g.Run(t, commandTimeout, "ip", "-6", "route", "show", "default"); got != "" {
		t.Errorf("a default route: %s", got)
	}
}
