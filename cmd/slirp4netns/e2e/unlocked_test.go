package e2e

import (
	"fmt"
	"maps"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// TestUnlocked: without the options, too, no thread has a capability that the
// data plane does not need, and none can gain any.
func TestUnlocked(t *testing.T) {
	const (
		none     = "0000000000000000"
		portsRaw = "0000000000002400" // CAP_NET_BIND_SERVICE, CAP_NET_RAW
	)
	for _, c := range []struct {
		startCase
		caps   string
		refuse bool // faccessat2, as before Linux 5.8
	}{
		{startCase{name: "user", guest: byUser, uid: user}, none, false},
		{startCase{name: "root", guest: byRoot, uid: 0}, portsRaw, false},
		{startCase{name: "root, before Linux 5.8", guest: byRoot, uid: 0}, portsRaw, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := map[string]string{"CapInh": none, "CapPrm": c.caps, "CapEff": c.caps, "CapAmb": none, "NoNewPrivs": "1", "Seccomp": "0"}
			if lab.Locked() {
				want = maps.Clone(lockedStatus)
			}
			g := lab.NewGuest(t, c.guest)
			o := lab.SlirpOptions{UID: c.uid, Args: []string{"-c", "-a", filepath.Join(lab.TempDir(t, c.uid), "api"), strconv.Itoa(g.PID), "tap0"}}
			if c.refuse {
				want["Seccomp"] = "2" // the filter that refuses
				o.Binary = refusing(t, c.uid, refusal{unix.SYS_FACCESSAT2, 0, 0, unix.ENOSYS})
			}
			s := lab.StartSlirp(t, o)
			checkReachesHost(t, g)
			tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", s.Process.Pid))
			if err != nil || len(tasks) < 3 {
				t.Fatalf("%d threads, %v: want some", len(tasks), err)
			}
			for _, task := range tasks {
				status := threadStatus(task)
				for name, want := range want {
					if got := status[name]; status != nil && got != want {
						t.Errorf("%s: %s %s, want %s", task, name, got, want)
					}
				}
			}
		})
	}
}
