package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// bothLocks are what Podman passes by default.
var bothLocks = []string{"--enable-sandbox", "--enable-seccomp"}

// lockedCase is one way to be started with both locks.
type lockedCase struct {
	startCase
	// inUserNS tells whose user namespace the process ends in.
	inUserNS userNS
}

type userNS int

const (
	callersUserNS userNS = iota // who has CAP_SYS_ADMIN needs no other
	targetsUserNS
	ownUserNS // there is no target, or it has no number for us
)

// lockedCases are all of startCases. A TAP that is passed as a descriptor has a
// test of its own.
func lockedCases() (all []lockedCase) {
	for _, c := range startCases {
		l := lockedCase{c, callersUserNS}
		switch {
		case c.uid != user || c.wrap != nil:
		case c.guest == nobody:
			l.inUserNS = ownUserNS
		default:
			l.inUserNS = targetsUserNS
		}
		all = append(all, l)
	}
	return all
}

// TestLocked is what /proc tells of a process with both locks, before and
// after it has carried traffic.
func TestLocked(t *testing.T) {
	for _, c := range lockedCases() {
		t.Run(c.name, func(t *testing.T) {
			g := lab.NewGuest(t, c.guest)
			if c.setup != nil {
				c.setup(t, g)
			}
			args := []string{"-c", strconv.Itoa(g.PID), "tap0"}
			if c.args != nil {
				args = c.args(g)
			}
			o := lab.SlirpOptions{UID: c.uid, Args: append(bothLocks[:2:2], args...)}
			if c.wrap != nil {
				o.Binary = c.wrap(t, g)
			}
			s := lab.StartSlirp(t, o)
			checkLocked(t, s.Process.Pid)
			checkLockedNamespaces(t, s.Process.Pid, g, c)
			checkReachesHost(t, g)
			checkLocked(t, s.Process.Pid)
		})
	}
}

// TestLockedTapFD has no target whose user namespace could be entered. The TAP
// was made with a header, and without.
func TestLockedTapFD(t *testing.T) {
	for _, c := range []lockedCase{
		{startCase{name: "user", guest: byRoot, uid: user}, ownUserNS},
		{startCase{name: "root", guest: byRoot, uid: 0}, callersUserNS},
	} {
		for name, flags := range tapHeaders {
			t.Run(c.name+", "+name, func(t *testing.T) {
				g := lab.NewGuest(t, c.guest)
				tap := openTAP(t, g, flags)
				g.Run(t, commandTimeout, "sh", "-c",
					"ip link set tap0 up && ip addr add 10.0.2.100/24 dev tap0 && ip route add default via 10.0.2.2")
				s := lab.StartSlirp(t, lab.SlirpOptions{UID: c.uid, Files: []*os.File{tap},
					Args: append(bothLocks[:2:2], "--netns-type=tapfd", "5")})
				tap.Close()
				checkLocked(t, s.Process.Pid)
				checkLockedNamespaces(t, s.Process.Pid, g, c)
				checkReachesHost(t, g)
				checkTransfer(t, g)
				checkLocked(t, s.Process.Pid)
			})
		}
	}
}

// TestLockedSameProcess: the process that the caller has started is the one that
// ends up in the sandbox, and ps(1) and pgrep(1) show it under its name, with
// its arguments.
func TestLockedSameProcess(t *testing.T) {
	for name, uid := range map[string]int{"user": user, "root": 0} {
		t.Run(name, func(t *testing.T) {
			g := lab.NewGuest(t, byUser)
			args := []string{"-c", "--mtu=65520", strconv.Itoa(g.PID), "tap0"}
			s := lab.StartSlirp(t, lab.SlirpOptions{UID: uid, Args: append(bothLocks[:2:2], args...)})
			checkLocked(t, s.Process.Pid)
			read := func(file string) string {
				t.Helper()
				b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.Process.Pid, file))
				if err != nil {
					t.Fatal(err)
				}
				return string(b)
			}
			if got := read("comm"); got != "slirp4netns\n" {
				t.Errorf("its name is %q", got)
			}
			line := strings.Split(strings.TrimSuffix(read("cmdline"), "\x00"), "\x00")
			if len(line) < len(args)+3 || line[0] != lab.Binary || !slices.Equal(line[len(line)-len(args):], args) {
				t.Errorf("its command line is %q", line)
			}
		})
	}
}

// checkLocked is the promise of --enable-sandbox and --enable-seccomp, as far
// as it can be seen from outside.
func checkLocked(t *testing.T, pid int) {
	t.Helper()
	checkThreads(t, pid)
	checkFiles(t, pid)
	checkMounts(t, pid)
}

// lockedStatus is what each thread's status says: proc_pid_status(5).
var lockedStatus = map[string]string{
	"CapInh":     "0000000000000000",
	"CapPrm":     "0000000000000400", // CAP_NET_BIND_SERVICE
	"CapEff":     "0000000000000400",
	"CapBnd":     "0000000000000400",
	"CapAmb":     "0000000000000000",
	"NoNewPrivs": "1",
	"Seccomp":    "2", // a filter
}

// checkThreads looks at every thread.
func checkThreads(t *testing.T, pid int) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(tasks) < 3 {
		t.Fatalf("%d threads, %v: want some", len(tasks), err)
	}
	for _, task := range tasks {
		status := threadStatus(task)
		if status == nil {
			continue // it has ended meanwhile
		}
		for name, want := range lockedStatus {
			if got := status[name]; got != want {
				t.Errorf("%s: %s %s, want %s", task, name, got, want)
			}
		}
	}
}

// threadStatus is the file at path, or nil when the thread has ended.
func threadStatus(path string) map[string]string {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	status := make(map[string]string)
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			status[name] = strings.TrimSpace(value)
		}
	}
	return status
}

// checkFiles finds nothing of the host's in the root directory, other than
// /etc and /run.
func checkFiles(t *testing.T, pid int) {
	t.Helper()
	for _, dir := range []string{"root", "cwd"} {
		names, err := os.ReadDir(fmt.Sprintf("/proc/%d/%s", pid, dir))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range names {
			got = append(got, n.Name())
		}
		if want := "etc run"; strings.Join(got, " ") != want {
			t.Errorf("%s has %q, want %q", dir, got, want)
		}
	}
}

// checkMounts wants every mount of the process to be harmless, none of them to
// be shared with the host's, and only those that were promised, and also.
func checkMounts(t *testing.T, pid int, also ...string) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		own, _, _ := strings.Cut(line, " - ")
		fields := strings.Fields(own) // proc_pid_mountinfo(5)
		point, options, propagation := fields[4], strings.Split(fields[5], ","), strings.Join(fields[6:], " ")
		if !slices.Contains(also, point) && point != "/" && point != "/etc" && point != "/run" && !strings.HasPrefix(point, "/etc/") && !strings.HasPrefix(point, "/run/") {
			t.Errorf("%s is mounted", point)
		}
		for _, want := range []string{"ro", "nosuid", "nodev", "noexec"} {
			if !slices.Contains(options, want) {
				t.Errorf("%s is mounted %v, want %s", point, options, want)
			}
		}
		if strings.Contains(propagation, "shared") {
			t.Errorf("%s is %s", point, propagation)
		}
	}
}

// checkLockedNamespaces compares the namespaces with those of the caller and
// of the target.
func checkLockedNamespaces(t *testing.T, pid int, g *lab.Guest, c lockedCase) {
	t.Helper()
	caller := lab.Command(t.Context(), c.uid, "readlink", "/proc/self/ns/user", "/proc/self/ns/mnt", "/proc/self/ns/net")
	out, err := caller.Output()
	if err != nil {
		t.Fatal(err)
	}
	callers := strings.Fields(string(out))
	user, mount, network := namespaceOf(t, pid, "user"), namespaceOf(t, pid, "mnt"), namespaceOf(t, pid, "net")
	target := namespaceOf(t, g.PID, "user")
	switch {
	case c.wrap != nil || c.inUserNS == targetsUserNS:
		if user != target {
			t.Errorf("in %s, want the target's %s", user, target)
		}
	case c.inUserNS == callersUserNS:
		if user != callers[0] {
			t.Errorf("in %s, want the caller's %s", user, callers[0])
		}
	case c.inUserNS == ownUserNS:
		if user == callers[0] || user == target {
			t.Errorf("in %s of the caller or the target, want an own one", user)
		}
	}
	if mount == callers[1] || mount == namespaceOf(t, g.PID, "mnt") {
		t.Errorf("in %s of the caller or the target, want an own one", mount)
	}
	if network != callers[2] {
		t.Errorf("in %s, want the caller's %s", network, callers[2])
	}
}

func namespaceOf(t *testing.T, pid int, kind string) string {
	t.Helper()
	ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
	if err != nil {
		t.Fatal(err)
	}
	return ns
}
