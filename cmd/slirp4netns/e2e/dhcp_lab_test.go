package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// dhcpGuest is a guest with a TAP that nobody has configured.
func dhcpGuest(t *testing.T, args ...string) *lab.Guest {
	t.Helper()
	g := lab.NewGuest(t, lab.GuestOptions{})
	configureNothing(t, g, args...)
	return g
}

// configureNothing connects a guest by a TAP that has but a name.
func configureNothing(t *testing.T, g *lab.Guest, args ...string) {
	t.Helper()
	g.Run(t, commandTimeout, "ip", "tuntap", "add", "name", "tap0", "mode", "tap")
	g.Run(t, commandTimeout, "ip", "link", "set", "tap0", "up")
	g.Slirp(t, args...)
}

// guestProgram is a program in the guest that stays in the foreground until the test
// ends, and tells what it does.
type guestProgram struct {
	t   *testing.T
	cmd *exec.Cmd
	log lab.Log
}

func startInGuest(t *testing.T, g *lab.Guest, name string, args ...string) *guestProgram {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &guestProgram{t: t, cmd: g.Command(ctx, name, args...)}
	c.cmd.Stdout, c.cmd.Stderr = &c.log, &c.log
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		c.cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, c.log.String())
		}
	})
	return c
}

// want waits until the client has written n lines that begin with start, and
// returns the last of them.
func (c *guestProgram) want(start string, n int) string {
	c.t.Helper()
	for deadline := time.Now().Add(commandTimeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		found := 0
		for line := range strings.Lines(c.log.String()) {
			if !strings.HasPrefix(line, start) || !strings.HasSuffix(line, "\n") {
				continue
			}
			if found++; found == n {
				return strings.TrimSpace(line)
			}
		}
	}
	c.t.Fatalf("no %q, number %d", start, n)
	return ""
}

func (c *guestProgram) signal(s unix.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.t.Fatalf("signal %v: %v", s, err)
	}
}

// leaseScript is a script for udhcpc that does what it is there for, and tells
// what it was told.
func leaseScript(t *testing.T, g *lab.Guest) string {
	t.Helper()
	return guestFile(t, g, "script", `#!/bin/sh
case $1 in
bound) ip addr replace "$ip/$mask" dev "$interface" && ip route replace default via "$router" ;;
deconfig) ip addr flush dev "$interface" ;;
esac
echo "$1 ip=$ip mask=$mask router=$router dns=$dns serverid=$serverid lease=$lease mtu=$mtu search=$search siaddr=$siaddr"
`)
}

// guestFile is a file of the guest's user, which may be executed.
func guestFile(t *testing.T, g *lab.Guest, name, content string) string {
	t.Helper()
	path := filepath.Join(lab.TempDir(t, g.UID), name)
	err := lab.WriteExecutable(path, content)
	if err == nil {
		err = lab.Give(path, g.UID)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// lease is what a client of busybox that ends at once is told.
func lease(t *testing.T, g *lab.Guest, args ...string) string {
	t.Helper()
	args = append([]string{"udhcpc", "-i", "tap0", "-q", "-n", "-t", "5", "-T", "1", "-s", leaseScript(t, g)}, args...)
	out := g.Run(t, commandTimeout, "busybox", args...)
	_, bound, _ := strings.Cut(out, "bound ")
	return strings.TrimSpace(bound)
}

// otherClient makes the guest's link that of another client.
func otherClient(t *testing.T, g *lab.Guest, mac string) {
	t.Helper()
	g.Run(t, commandTimeout, "ip", "link", "set", "tap0", "address", mac)
}

// hostConf gives the host a resolv.conf with further lines.
func hostConf(t *testing.T, lines string) {
	t.Helper()
	path := hostEtc(t, lab.InetAddr4.String())
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(lines); err != nil {
		t.Fatal(err)
	}
}
