package e2e

import (
	"net"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// TestLockedEnvironment: what a caller's environment asks of the Go runtime
// (https://pkg.go.dev/runtime#hdr-Environment_Variables) is allowed by the
// filter, or has no effect.
func TestLockedEnvironment(t *testing.T) {
	for _, env := range []string{
		"GODEBUG=multipathtcp=1", "GODEBUG=multipathtcp=3,netdns=go+2", "GODEBUG=decoratemappings=1,disablethp=1",
		"GODEBUG=containermaxprocs=1,updatemaxprocs=1", "GODEBUG=madvdontneed=1,gctrace=1,schedtrace=100,scavtrace=1",
		"GOMAXPROCS=8", "GOGC=1", "GOMEMLIMIT=1MiB", "GOTRACEBACK=crash",
	} {
		t.Run(env, func(t *testing.T) {
			t.Parallel()
			g := lab.NewGuest(t, byUser)
			api := filepath.Join(lab.TempDir(t, user), "api")
			s := lab.StartSlirp(t, lab.SlirpOptions{UID: user, Env: []string{env},
				Args: append(bothLocks[:2:2], "-c", "-a", api, strconv.Itoa(g.PID), "tap0")})
			checkLocked(t, s.Process.Pid)
			checkDescriptors(t, s.Process.Pid, 1)
			serveTCP(t, g, "0.0.0.0:80", func(c *net.TCPConn) { oneByte(c) })
			for start := time.Now(); time.Since(start) < 1500*time.Millisecond; time.Sleep(300 * time.Millisecond) {
				checkReachesHost(t, g)
				for _, network := range []string{"udp4", "tcp4"} {
					if got, _, err := queryA(g, network, lab.Domain, commandTimeout); err != nil || got != lab.InetAddr4.String() {
						t.Errorf("name by %s: %s, %v", network, got, err)
					}
				}
			}
			checkTransfer(t, g)
			if got := askAPI(t, api, `{"execute":"list_hostfwd"}`); got != `{"entries":[],"return":{"entries":[]}}` {
				t.Errorf("the control socket: %s", got)
			}
			checkLocked(t, s.Process.Pid)
		})
	}
}
