package e2e

import (
	"strconv"
	"strings"
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
	if want := "/proc/" + pid + "/ns/net: Permission denied\nPID " + pid + " is a process of the user with ID 0\nchild failed(1)\n"; out != want || status != 1 {
		t.Errorf("status %d, %q, want %q", status, out, want)
	}
}

// TestStartErrorsExplained is what people meet who take the wrong process, or
// have no device: the C program's line, and one that says more.
func TestStartErrorsExplained(t *testing.T) {
	lab.NeedUsers(t)
	lab.RequireBinary(t)
	sleep := lab.Command(t.Context(), user, "sleep", "600")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sleep.Process.Kill(); sleep.Wait() })
	ours := strconv.Itoa(sleep.Process.Pid)
	g := lab.NewGuest(t, byUser)
	pid := strconv.Itoa(g.PID)
	const refused, device = "setns(CLONE_NEWNET): Operation not permitted\n", "open(\"/dev/net/tun\"): "
	without := func(command string) string {
		return script(t, 0, "exec unshare -m -- sh -c '"+command+" && exec setpriv --reuid="+strconv.Itoa(user)+" --regid="+strconv.Itoa(user)+" --clear-groups -- "+lab.Binary+" \"$@\"' sh \"$@\"")
	}
	for _, c := range []struct {
		name   string
		uid    int
		binary string
		args   []string
		want   string
	}{
		{"our own namespace", user, lab.Binary, []string{ours, "tap0"},
			refused + "PID " + ours + " is in our own network namespace: it has made none of its own, or not yet (unshare --net)\n"},
		{"a namespace of root's", user, lab.Binary, []string{"--netns-type=path", lab.Inet.Path(), "tap0"},
			refused + "the network namespace of " + lab.Inet.Path() + " belongs to our own user namespace: to join it takes CAP_SYS_ADMIN there, which root has\n"},
		{"no device", 0, without("mount -t tmpfs t /dev"), []string{pid, "tap0"},
			device + "No such file or directory\nthe kernel's module is not there (modprobe tun, as root), or this container was not given the device (--device /dev/net/tun)\n"},
		{"a device of root's", 0, without("umask 077 && mount -t tmpfs t /mnt && mknod /mnt/tun c 10 200 && mount --bind /mnt/tun /dev/net/tun"), []string{pid, "tap0"},
			device + "Permission denied\nit takes mode 0666 (chmod 666 /dev/net/tun, as root)\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, locks := range [][]string{nil, bothLocks} {
				out, status := runToEnd(t, c.uid, c.binary, append(locks[:len(locks):len(locks)], c.args...)...)
				if !strings.Contains(out, c.want) || !strings.HasSuffix(out, "child failed(1)\n") || status != 1 {
					t.Errorf("%v: status %d, %q, want %q", locks, status, out, c.want)
				}
			}
		})
	}
}
