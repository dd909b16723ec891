package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// TestLockedResolvConf: a resolv.conf that lies outside of /etc and /run, at the
// end of several links as on NixOS, is there in the sandbox with all that leads
// to it, and nothing else. When another file takes its place, that one counts.
func TestLockedResolvConf(t *testing.T) {
	for i := range 2 {
		hostDNS(t, fmt.Sprintf("127.0.0.%d:53", 121+i), fmt.Sprintf("192.0.2.%d", 121+i))
	}
	for _, c := range []startCase{
		{name: "user", guest: byUser, uid: user},
		{name: "root", guest: byRoot, uid: 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := lab.NewGuest(t, c.guest)
			etc := lab.TempDir(t, 0)
			m := newMounts(t, "private", fmt.Sprintf(`
				mount -t tmpfs store /srv
				mkdir -p /srv/store/system /srv/store/etc /srv/store/conf /srv/store/other
				echo secret >/srv/store/other/file
				echo nameserver 127.0.0.121 >/srv/store/conf/resolv.conf
				ln -s store/system /srv/current
				ln -s ../etc /srv/store/system/etc
				ln -s /srv/store/conf/resolv.conf /srv/store/etc/resolv.conf
				ln -s /srv/current/etc %[1]s/static
				ln -s static/resolv.conf %[1]s/resolv.conf
				mount --bind %[1]s /etc`, etc))
			s := m.start(c.uid, "-c", strconv.Itoa(g.PID), "tap0")
			checkThreads(t, s.Process.Pid)
			checkMounts(t, s.Process.Pid, "/srv/store/conf")
			checkDescriptors(t, s.Process.Pid, 0)
			want := []string{
				"srv", "srv/current -> store/system", "srv/store", "srv/store/conf", "srv/store/conf/resolv.conf",
				"srv/store/etc", "srv/store/etc/resolv.conf -> /srv/store/conf/resolv.conf",
				"srv/store/system", "srv/store/system/etc -> ../etc",
			}
			if got := filesOf(t, s.Process.Pid); strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("in the sandbox, beside /etc and /run:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			answers := func(addr string) {
				t.Helper()
				got, _, err := queryA(g, "udp4", "any.test", 5*time.Second)
				for start := time.Now(); (err != nil || got != addr) && time.Since(start) < time.Second; time.Sleep(50 * time.Millisecond) {
					got, _, err = queryA(g, "udp4", "any.test", 5*time.Second)
				}
				if err != nil || got != addr {
					t.Errorf("%s, %v, want %s", got, err, addr)
				}
			}
			answers("192.0.2.121")
			m.run(`cd /srv/store/conf; echo nameserver 127.0.0.122 >new; mv new resolv.conf`)
			answers("192.0.2.122")
		})
	}
}

// TestLockedResolvConfUnreadable is a resolv.conf that nobody can read: no
// reason not to start.
func TestLockedResolvConfUnreadable(t *testing.T) {
	for name, script := range map[string]string{
		"loop": "ln -s resolv.conf %[1]s/resolv.conf",
		"locked directory": `mkdir -m 0700 %[1]s/locked
			echo nameserver 127.0.0.1 >%[1]s/locked/resolv.conf
			ln -s locked/resolv.conf %[1]s/resolv.conf`,
		"link out into a locked directory": `mount -t tmpfs -o mode=0700 store /srv
			echo nameserver 127.0.0.1 >/srv/resolv.conf
			ln -s /srv/resolv.conf %[1]s/resolv.conf`,
	} {
		t.Run(name, func(t *testing.T) {
			g := lab.NewGuest(t, byUser)
			m := newMounts(t, "private", fmt.Sprintf(script+`
				mount --bind %[1]s /etc`, lab.TempDir(t, 0)))
			s := m.start(user, "-c", strconv.Itoa(g.PID), "tap0")
			checkThreads(t, s.Process.Pid)
			checkReachesHost(t, g)
		})
	}
}

// filesOf lists what there is in the root directory of a process, but for /etc
// and /run.
func filesOf(t *testing.T, pid int) (all []string) {
	t.Helper()
	root := fmt.Sprintf("/proc/%d/root/", pid)
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		name := strings.TrimPrefix(path, root)
		switch {
		case err != nil || name == "" || path == root:
			return err
		case name == "etc" || name == "run":
			return filepath.SkipDir
		case d.Type() == os.ModeSymlink:
			target, err := os.Readlink(path)
			all = append(all, name+" -> "+target)
			return err
		}
		all = append(all, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
