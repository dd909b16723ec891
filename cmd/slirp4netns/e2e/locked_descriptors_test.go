package e2e

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// place is a directory, and the mount that it is seen in.
type place struct{ dev, ino, mount uint64 }

// placeOf is what path, from the directory fd on, leads to.
func placeOf(fd int, path string) (place, error) {
	var st unix.Statx_t
	err := unix.Statx(fd, path, unix.AT_EMPTY_PATH, unix.STATX_INO|unix.STATX_MNT_ID, &st)
	return place{unix.Mkdev(st.Dev_major, st.Dev_minor), st.Ino, st.Mnt_id}, err
}

// leadsOut tries to leave through a descriptor: it must be no directory, or the
// root of a tree that hangs nowhere.
func leadsOut(fd int) error {
	here, err := placeOf(fd, "")
	if err != nil {
		return err
	}
	for _, up := range []string{"..", "../../../..", "../proc", "../../../../usr"} {
		out, err := unix.Openat(fd, up, unix.O_PATH|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", up, err)
		}
		there, err := placeOf(out, "")
		unix.Close(out)
		if err != nil || there != here {
			return fmt.Errorf("%s leads from %v to %v, %v", up, here, there, err)
		}
	}
	return nil
}

// descriptors are those of a process by their numbers, each open for the length of
// an iteration.
func descriptors(t *testing.T, pid int) iter.Seq2[int, int] {
	t.Helper()
	return func(yield func(number, fd int) bool) {
		process, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(process)
		// The first number that is free is given, so there are none above.
		for number := range 1024 {
			fd, err := unix.PidfdGetfd(process, number, 0)
			if errors.Is(err, unix.EBADF) {
				continue
			}
			if err != nil {
				t.Fatalf("pidfd_getfd(%d): %v", number, err)
			}
			more := yield(number, fd)
			unix.Close(fd)
			if !more {
				return
			}
		}
	}
}

// checkDescriptors tries every descriptor of a locked process, and finds none
// that leads anywhere, and as many directories as it has sockets to remove. It
// returns how those are mounted: statfs(2).
func checkDescriptors(t *testing.T, pid int, sockets int) (mounted []int64) {
	t.Helper()
	open := 0
	for number, fd := range descriptors(t, pid) {
		open++
		if err := leadsOut(fd); err != nil {
			t.Errorf("descriptor %d: %v", number, err)
		}
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			var fs unix.Statfs_t
			if err := unix.Fstatfs(fd, &fs); err != nil {
				t.Error(err)
			}
			mounted = append(mounted, fs.Flags)
		}
	}
	if len(mounted) != sockets || open < 3 {
		t.Errorf("%d descriptors, of which %d are directories, want %d", open, len(mounted), sockets)
	}
	for _, dir := range []string{"root", "cwd"} {
		fd, err := unix.Open(fmt.Sprintf("/proc/%d/%s", pid, dir), unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := leadsOut(fd); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
		unix.Close(fd)
	}
	return mounted
}

// TestLeadsOut is what checkDescriptors would find, had the process kept plain
// descriptors of directories.
func TestLeadsOut(t *testing.T) {
	for path, want := range map[string]bool{lab.TempDir(t, user): true, "/etc": true, "/proc/self": true, "/proc/self/exe": false} {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := leadsOut(int(f.Fd())); (err != nil) != want {
			t.Errorf("%s: %v, want an error: %t", path, err, want)
		}
	}
}

// inert is how a socket's directory is mounted, for Linux 5.14 and newer: it
// cannot be read-only.
const inert = unix.ST_NOSUID | unix.ST_NODEV | unix.ST_NOEXEC | 0x2000 // ST_NOSYMFOLLOW of linux/statfs.h

// TestLockedSockets: with a control socket, the switch's socket or both, no
// descriptor leads out of the sandbox, and no socket is left behind at the end,
// wherever it is.
func TestLockedSockets(t *testing.T) {
	const private = 0o700
	for _, c := range []struct {
		name   string
		uid    int
		owner  int // of the directory
		guest  lab.GuestOptions
		target string
	}{
		{"user, PID", user, user, byUser, "pid"},
		{"user, path", user, user, byUser, "path"},
		{"user, tapfd", user, user, byRoot, "tapfd"},
		{"user, bess", user, user, byUser, "bess"},
		{"root, PID", 0, 0, byRoot, "pid"},
		{"root, path", 0, 0, byUser, "path"},
		{"root, tapfd", 0, 0, byRoot, "tapfd"},
		{"root, bess", 0, 0, byRoot, "bess"},
		{"root in a user's directory, PID", 0, user, byUser, "pid"},
		{"root in a user's directory, bess", 0, user, byRoot, "bess"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := lab.TempDir(t, c.owner)
			if err := os.Chmod(dir, private); err != nil {
				t.Fatal(err)
			}
			g := lab.NewGuest(t, c.guest)
			o := lab.SlirpOptions{UID: c.uid, Args: append(bothLocks[:2:2], "-a", filepath.Join(dir, "api"))}
			sockets, last := 1, []string{"-c", strconv.Itoa(g.PID), "tap0"}
			switch c.target {
			case "path":
				last = []string{"-c", "--netns-type=path", g.Path(), "tap0"}
			case "tapfd":
				tap := openTAP(t, g, 0)
				defer tap.Close()
				o.Files, last = []*os.File{tap}, []string{"--netns-type=tapfd", "5"}
			case "bess":
				peer := make(chan *os.File, 1)
				bess := filepath.Join(dir, "bess")
				go func() { peer <- lab.DialWhenThere(bess) }()
				defer func() { (<-peer).Close() }()
				sockets, last = 2, []string{"--target-type=bess", bess}
			}
			o.Args = append(o.Args, last...)
			s := lab.StartSlirp(t, o)
			checkLocked(t, s.Process.Pid)
			for _, flags := range checkDescriptors(t, s.Process.Pid, sockets) {
				if flags&inert != inert {
					t.Errorf("a socket's directory is mounted with flags %#x, want %#x among them", flags, inert)
				}
			}
			if got := askAPI(t, filepath.Join(dir, "api"), `{"execute":"list_hostfwd"}`); got != `{"entries":[],"return":{"entries":[]}}` {
				t.Errorf("the control socket: %s", got)
			}
			s.Stop()
			left, err := os.ReadDir(dir)
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}
