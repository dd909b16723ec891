package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// lockedUp are the two ways to run: as it is, and as Podman does.
var lockedUp = [][]string{nil, {"--enable-sandbox", "--enable-seccomp"}}

// privileged tries a port below 1024 for each protocol. One that is had leads
// to the guest's port 80.
func privileged(t *testing.T, path string, port int, allowed bool) {
	t.Helper()
	for _, proto := range []string{"tcp", "udp"} {
		for _, host := range []string{"127.0.0.1", "::1"} {
			got := askAPI(t, path, fmt.Sprintf(`{"execute":"add_hostfwd","arguments":{"proto":%q,"host_addr":%q,"host_port":%d,"guest_port":80}}`, proto, host, port))
			if ok := strings.HasPrefix(got, `{"return":{"id":`); ok != allowed {
				t.Errorf("port %d, %s on %s: %s; allowed should be %v", port, proto, host, got, allowed)
			}
			if allowed {
				if got, err := (client{to: host}).answer(proto, port); err != nil || got != "80" {
					t.Errorf("port %d, %s on %s: %q, %v", port, proto, host, got, err)
				}
			}
		}
	}
}

// Ports below net.ipv4.ip_unprivileged_port_start are for those who have
// CAP_NET_BIND_SERVICE, in the sandbox as well, and not for others.
func TestHostfwdPrivilegedPorts(t *testing.T) {
	for _, options := range lockedUp {
		t.Run("ordinary user "+strings.Join(options, " "), func(t *testing.T) {
			g, _, path := controlled(t, options...)
			guestServers(t, g, 80)
			privileged(t, path, 79, false)
			hostSysctl(t, "net.ipv4.ip_unprivileged_port_start", "79")
			privileged(t, path, 79, true)
			privileged(t, path, 78, false)
		})
		t.Run("--publish "+strings.Join(options, " "), func(t *testing.T) {
			g := lab.NewGuest(t, lab.GuestOptions{})
			guestServers(t, g, 80)
			publish := append([]string{"-c", "-p", "127.0.0.1:79:80", "-p", "127.0.0.1:79:80/udp"}, options...)
			refused(t, g, "--publish: bind 127.0.0.1:79: permission denied: it takes CAP_NET_BIND_SERVICE or", publish...)
			hostSysctl(t, "net.ipv4.ip_unprivileged_port_start", "79")
			g.Slirp(t, publish...)
			for _, network := range []string{"tcp", "udp"} {
				if got, err := (client{to: "127.0.0.1"}).answer(network, 79); err != nil || got != "80" {
					t.Errorf("%s: %q, %v", network, got, err)
				}
			}
		})
		t.Run("root "+strings.Join(options, " "), func(t *testing.T) {
			g := lab.NewGuest(t, lab.GuestOptions{Root: true})
			path := socketPath(t, g.UID)
			guestServers(t, g, 80)
			g.Slirp(t, append([]string{"-c", "--api-socket=" + path}, options...)...)
			privileged(t, path, 79, true)
		})
	}
}

// An ordinary user who was given the capability has it, too; but not in the
// sandbox, which is in the target's user namespace, where it counts for nothing
// on the host. So it is with the C program.
func TestHostfwdCapability(t *testing.T) {
	lab.NeedUsers(t)
	script := filepath.Join(lab.TempDir(t, 0), "slirp4netns")
	text := fmt.Sprintf("#!/bin/sh\nexec setpriv --reuid=%d --regid=%d --clear-groups --inh-caps=+net_bind_service --ambient-caps=+net_bind_service %s \"$@\"\n",
		lab.OrdinaryUID, lab.OrdinaryUID, lab.Binary)
	if err := lab.WriteExecutable(script, text); err != nil {
		t.Fatal(err)
	}
	for _, options := range lockedUp {
		t.Run(strings.Join(options, " "), func(t *testing.T) {
			g := lab.NewGuest(t, lab.GuestOptions{})
			path := socketPath(t, g.UID)
			guestServers(t, g, 80)
			args := append([]string{"-c", "--api-socket=" + path}, options...)
			lab.StartSlirp(t, lab.SlirpOptions{Binary: script, Args: append(args, fmt.Sprint(g.PID), "tap0")})
			privileged(t, path, 79, options == nil && !lab.Locked())
		})
	}
}

// As many clients may wait to be accepted as the system allows.
func TestHostfwdBacklog(t *testing.T) {
	_, _, path := controlled(t)
	_, port := forward(t, path, "tcp", "127.0.0.1", 0, 80)
	most := strings.TrimSpace(onHost(t, "cat", sysctlPath("net.core.somaxconn")))
	out := onHost(t, "ss", "-Hltn", fmt.Sprintf("sport = :%d", port))
	if f := strings.Fields(out); len(f) < 3 || f[2] != most {
		t.Errorf("ss says %q, want a backlog of %s", out, most)
	}
}
