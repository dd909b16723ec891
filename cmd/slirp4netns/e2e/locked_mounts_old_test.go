package e2e

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// TestLockedOldMounts: before Linux 5.12, mounts below /run are made harmless one
// by one, whatever they have about access times, which is kept, and though one is
// a FUSE whose server has died.
func TestLockedOldMounts(t *testing.T) {
	old := refusal{unix.SYS_MOUNT_SETATTR, 0, 0, unix.ENOSYS}
	for name, uid := range map[string]int{"user": user, "root": 0} {
		t.Run(name, func(t *testing.T) {
			g := lab.NewGuest(t, lab.GuestOptions{Root: uid == 0})
			dir := lab.TempDir(t, 0)
			kinds := []string{"noatime", "nodiratime", "strictatime", "relatime"}
			m := newMounts(t, "private", fmt.Sprintf(`
				cd %s; mkdir dead
				for kind in %s; do mkdir $kind; mount -t tmpfs -o $kind t $kind; done
				exec 3<>/dev/fuse
				mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 dead dead
				exec 3>&-
				if stat -f dead 2>/dev/null; then echo the FUSE lives >&2; exit 1; fi`, dir, strings.Join(kinds, " ")))
			s := m.startBinary(uid, refusing(t, uid, old), "-c", strconv.Itoa(g.PID), "tap0")
			checkLocked(t, s.Process.Pid)
			checkReachesHost(t, g)
			was, is := timesOf(t, m.pid, dir), timesOf(t, s.Process.Pid, dir)
			if len(was) != len(kinds)+1 || !maps.Equal(is, was) {
				t.Errorf("access times: %v, want those of the host, %v", is, was)
			}
		})
	}
}

// timesOf is what the mounts below dir have about access times: see
// proc_pid_mountinfo(5).
func timesOf(t *testing.T, pid int, dir string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		t.Fatal(err)
	}
	times := make(map[string]string)
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if name, below := strings.CutPrefix(fields[4], dir+"/"); below {
			times[name] = strings.Join(slices.DeleteFunc(strings.Split(fields[5], ","), func(option string) bool {
				return !strings.HasSuffix(option, "time")
			}), ",")
		}
	}
	return times
}
