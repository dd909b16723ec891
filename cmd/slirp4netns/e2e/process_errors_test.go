package e2e

import (
	"strconv"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// TestStartErrors has the C program's words where it has any.
func TestStartErrors(t *testing.T) {
	lab.RequireBinary(t)
	const failed = "child failed(1)\n"
	g := lab.NewGuest(t, byUser)
	makeTAP(t, g)
	g.Slirp(t, "-c")
	pid := strconv.Itoa(g.PID)
	for _, c := range []struct {
		name string
		uid  int
		args []string
		want string
	}{
		{"no such process", user, []string{"999999", "tap0"}, "/proc/999999/ns/net: No such file or directory\n" + failed},
		{"path is no namespace", 0, []string{"--netns-type=path", "/etc/passwd", "tap0"},
			"setns(CLONE_NEWNET): Invalid argument\n" + failed},
		{"path is another namespace", 0, []string{"--netns-type=path", "/proc/self/ns/mnt", "tap0"},
			"setns(CLONE_NEWNET): Invalid argument\n" + failed},
		{"a user namespace that cannot be opened", user, []string{"--userns-path=/etc/shadow", pid, "tap1"},
			"/etc/shadow: Permission denied\n" + failed},
		{"TAP in use", user, []string{pid, "tap0"},
			"ioctl(TUNSETIFF): Device or resource busy\ntap0: another process is attached to this TAP\n" + failed},
		{"no TAP", user, []string{pid, "lo"},
			"ioctl(TUNSETIFF): Invalid argument\nlo: exists already, and is not a TAP that one process can attach to\n" + failed},
		{"MTU", user, []string{"-c", "--mtu=67", pid, "tap1"}, "cannot set MTU: Invalid argument\n" + failed},
		{"MAC address", user, []string{"-c", "--macaddress=ff:ff:ff:ff:ff:ff", pid, "tap1"},
			"cannot set MAC address: Cannot assign requested address\n" + failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			if out, status := runToEnd(t, c.uid, lab.Binary, c.args...); out != c.want || status != 1 {
				t.Errorf("status %d, %q, want %q", status, out, c.want)
			}
		})
	}
	// What failed left nothing behind.
	if got := g.Run(t, commandTimeout, "sh", "-c", "ip -o link show | wc -l"); got != "2\n" {
		t.Errorf("the guest has %s interfaces, want lo and tap0", got)
	}
}

// TestAnothersProcess is an ordinary user who names a process of root's.
func TestAnothersProcess(t *testing.T) {
	lab.NeedUsers(t)
	lab.RequireBinary(t)
	pid := strconv.Itoa(lab.NewGuest(t, byRoot).PID)
	out, status := runToEnd(t, user, lab.Binary, pid, "tap0")
	if want := "/proc/" + pid + "/ns/net: Permission denied\nchild failed(1)\n"; out != want || status != 1 {
		t.Errorf("status %d, %q, want %q", status, out, want)
	}
}
