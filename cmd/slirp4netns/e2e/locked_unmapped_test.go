package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// others is a guest whose users are subordinate ones of its maker's, who has no
// number there himself.
var others = lab.GuestOptions{Kind: lab.MapOthers}

// TestLockedUnmapped is a target whose user namespace has no number for us, so
// that no file could be made there. With a process to be asked, the sandbox is
// in a user namespace of its own: see TestLocked, too. Without one, that it is so
// shows when it has been joined, and there is no way back.
func TestLockedUnmapped(t *testing.T) {
	lab.NeedUsers(t)
	bound := func(t *testing.T, g *lab.Guest) string {
		path := filepath.Join(lab.TempDir(t, 0), "netns")
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount(g.Path(), path, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Unmount(path, unix.MNT_DETACH) })
		return path
	}
	for name, c := range map[string]struct {
		guest lab.GuestOptions
		args  func(*testing.T, *lab.Guest) []string
	}{
		"others mapped, PID": {others, func(_ *testing.T, g *lab.Guest) []string {
			return []string{strconv.Itoa(g.PID)}
		}},
		"nobody mapped, bound path and a process's userns-path": {nobody, func(t *testing.T, g *lab.Guest) []string {
			return []string{"--netns-type=path", "--userns-path=" + g.UserNS(), bound(t, g)}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			g := lab.NewGuest(t, c.guest)
			s := lab.StartSlirp(t, lab.SlirpOptions{UID: user, Args: append(append(bothLocks[:2:2], "-c"), append(c.args(t, g), "tap0")...)})
			checkLocked(t, s.Process.Pid)
			if own := namespaceOf(t, s.Process.Pid, "user"); own == namespaceOf(t, g.PID, "user") || own == namespaceOf(t, os.Getpid(), "user") {
				t.Errorf("in %s of the caller or the target, want an own one", own)
			}
			checkReachesHost(t, g)
		})
	}
	t.Run("nobody mapped, bound path", func(t *testing.T) {
		g := lab.NewGuest(t, nobody)
		out, status := runToEnd(t, user, lab.Binary, append(bothLocks[:2:2], "-c", "--netns-type=path", bound(t, g), "tap0")...)
		const want = "--enable-sandbox: making a place for /etc: mkdir /tmp/etc: value too large for defined data type:" +
			" the target's user namespace has no IDs for our user and group (uid_map, gid_map), so that no file can be made there;" +
			" map them (unshare --map-current-user, newuidmap), name a process of it (PID, or --userns-path=/proc/PID/ns/user)," +
			" or start without --enable-sandbox\n"
		if !strings.Contains(out, want) || status != 1 {
			t.Errorf("status %d, it said\n%swant 1 and\n%s", status, out, want)
		}
	})
}
