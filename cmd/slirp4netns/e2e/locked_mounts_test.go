package e2e

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// mounts is a mount namespace with a holder.
type mounts struct {
	t   *testing.T
	pid int
}

// newMounts makes a copy of the host's, of root's, with the propagation that
// unshare(1) knows by that name, after the shell's commands.
func newMounts(t *testing.T, propagation, commands string) *mounts {
	t.Helper()
	cmd := lab.Command(t.Context(), 0, "unshare", "-m", "--propagation="+propagation, "sh", "-ec", commands+"\necho made\nexec cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "made\n" {
		t.Fatalf("no mount namespace: %q, %v", line, err)
	}
	return &mounts{t, cmd.Process.Pid}
}

// run runs a shell's commands there, as root.
func (m *mounts) run(commands string) string {
	m.t.Helper()
	out, err := lab.Command(m.t.Context(), 0, "nsenter", "-m", "-t", strconv.Itoa(m.pid), "sh", "-ec", commands).CombinedOutput()
	if err != nil {
		m.t.Fatalf("%s: %v, %s", commands, err, out)
	}
	return string(out)
}

// findmnt is all that is mounted there.
func (m *mounts) findmnt() string {
	m.t.Helper()
	return m.run("findmnt -ln -o TARGET,SOURCE,FSTYPE,OPTIONS,PROPAGATION")
}

// start starts a locked slirp4netns there, as uid, and returns it.
func (m *mounts) start(uid int, args ...string) *lab.Slirp {
	m.t.Helper()
	return m.startBinary(uid, lab.Binary, args...)
}

// startBinary is start for a slirp4netns that is wrapped.
func (m *mounts) startBinary(uid int, binary string, args ...string) *lab.Slirp {
	m.t.Helper()
	as := strings.Join(lab.AsUser(uid), " ")
	return lab.StartSlirp(m.t, lab.SlirpOptions{UID: 0, Args: append(bothLocks[:2:2], args...),
		Binary: script(m.t, 0, fmt.Sprintf(`exec nsenter -m -t %d -- %s %s "$@"`, m.pid, as, binary))})
}

// TestLockedMounts: nothing that is mounted on the host changes while a
// sandbox is made, is there, or ends, and what is mounted below /etc and /run
// shows in it: what was there before, and what comes and goes later.
func TestLockedMounts(t *testing.T) {
	for _, propagation := range []string{"private", "shared"} {
		for _, c := range []startCase{
			{name: "user", guest: byUser, uid: user},
			{name: "root", guest: byRoot, uid: 0},
		} {
			t.Run(c.name+", "+propagation, func(t *testing.T) {
				g := lab.NewGuest(t, c.guest)
				dir := lab.TempDir(t, 0)
				m := newMounts(t, propagation, fmt.Sprintf(`
					cd %s; mkdir before later; echo old >name
					mount -t tmpfs sub before; echo sub >before/file
					mount --bind name /etc/hostname`, dir))
				host := m.findmnt()
				s := m.start(c.uid, "-c", strconv.Itoa(g.PID), "tap0")
				root := fmt.Sprintf("/proc/%d/root", s.Process.Pid)
				checkLocked(t, s.Process.Pid)
				checkReachesHost(t, g)
				same := func(when string) {
					t.Helper()
					if got := m.findmnt(); got != host {
						t.Errorf("%s the host has\n%s\nand had\n%s", when, got, host)
					}
				}
				reads := func(path, want string) {
					t.Helper()
					if b, err := os.ReadFile(root + path); err != nil || string(b) != want {
						t.Errorf("%s in the sandbox: %q, %v, want %q", path, b, err, want)
					}
				}
				same("while it runs")
				reads("/etc/hostname", "old\n")
				reads(filepath.Join(dir, "before/file"), "sub\n")
				later := filepath.Join(dir, "later/file")
				m.run(fmt.Sprintf("cd %s; mount -t tmpfs late later; echo late >later/file", dir))
				if propagation == "shared" {
					// With the flags that it has on the host: docs/security.md.
					reads(later, "late\n")
				}
				m.run(fmt.Sprintf("umount %s/later", dir))
				if _, err := os.Lstat(root + later); !os.IsNotExist(err) {
					t.Errorf("what was unmounted on the host is in the sandbox: %v", err)
				}
				s.Stop()
				same("after it")
			})
		}
	}
}

// TestLockedOthersMount: on kernels before 5.12, mounts are made harmless one by
// one, and what is mounted in a directory where we cannot go cannot be: it stays
// as it is, and out of reach. On newer ones it is made harmless, too.
func TestLockedOthersMount(t *testing.T) {
	lab.NeedUsers(t)
	const option = " rw,"
	for name, c := range map[string]struct {
		refusal
		writable bool
	}{
		"before Linux 5.12": {refusal{unix.SYS_MOUNT_SETATTR, 0, 0, unix.ENOSYS}, true},
		"now":               {refusal{unix.SYS_KEXEC_LOAD, 0, 0, unix.ENOSYS}, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := lab.NewGuest(t, byUser)
			dir := lab.TempDir(t, 0)
			m := newMounts(t, "private", fmt.Sprintf("cd %s; mkdir -p private/m open; chmod 700 private; mount -t tmpfs t private/m; mount -t tmpfs t open", dir))
			s := m.startBinary(user, refusing(t, user, c.refusal), "-c", strconv.Itoa(g.PID), "tap0")
			checkThreads(t, s.Process.Pid)
			checkFiles(t, s.Process.Pid)
			checkDescriptors(t, s.Process.Pid, 0)
			checkReachesHost(t, g)
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", s.Process.Pid))
			if err != nil {
				t.Fatal(err)
			}
			var writable []string
			for line := range strings.Lines(string(b)) {
				if strings.Contains(line, option) && strings.Index(line, option) < strings.Index(line, " - ") {
					writable = append(writable, strings.Fields(line)[4])
				}
			}
			var want []string
			if c.writable {
				want = []string{dir + "/private/m"}
			}
			if !slices.Equal(writable, want) {
				t.Errorf("writable: %v, want %v", writable, want)
			}
			// Who is what the process is, and has all capabilities in its user
			// namespace, does not get there.
			enter := append(g.Enter(), "ls", fmt.Sprintf("%s/private/m", dir))
			out, err := lab.Command(t.Context(), user, enter[0], enter[1:]...).CombinedOutput()
			if err == nil || !strings.Contains(string(out), "Permission denied") {
				t.Errorf("%s/private: %v, %s", dir, err, out)
			}
		})
	}
}
