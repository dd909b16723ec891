package e2e

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// umlTimeout is for a machine from its start to its end. It takes some 10 s.
const umlTimeout = 90 * time.Second

// umlSize is what it transfers each way, in bytes.
const umlSize = 100 << 20

// umlInit is the first process of the machine. What it prints is looked at.
const umlInit = `#!/bin/sh
export PATH=/bin
mount -t proc p /proc
mount -t tmpfs t /tmp
ip link set lo up
ip link set vec0 up
echo "uml: up"
ip addr add 10.0.2.100/24 dev vec0
ip route add default via 10.0.2.2
look() {
	ping -c1 -W5 10.0.2.2 >/dev/null && echo "uml: $1 ping"
	echo "uml: $1 page $(wget -qO- http://10.0.2.2:8000/)"
}
look static
echo "uml: down $(wget -qO- http://198.51.100.2/bytes/%d | sha256sum)"
echo "uml: up $(wget -qO- --post-file=/data http://198.51.100.2/upload)"
ip addr flush dev vec0
udhcpc -i vec0 -q -n -t 5 -s /bound
echo "uml: dhcp address $(ip -4 -o addr show dev vec0 | sed 's/.*inet \([^ ]*\).*/\1/')"
look dhcp
echo "uml: dhcp name $(wget -qO- http://lab.test/)"
poweroff -f
`

// umlBound is what udhcpc runs.
const umlBound = `#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add $ip/$mask dev $interface
ip route add default via $router
echo nameserver $dns >/etc/resolv.conf
`

// TestUML boots User Mode Linux on the switch. It has a static address first,
// with which it transfers 100 MiB each way, and one by DHCP then.
func TestUML(t *testing.T) {
	down, err := lab.SHA256(lab.Stream(umlSize))
	if err != nil {
		t.Fatal(err)
	}
	up, err := lab.SHA256(umlText())
	if err != nil {
		t.Fatal(err)
	}
	b, first := startBESS(t, bothLocks...)
	checkSlirpDocumented(t, b.Slirp)
	first.Close()
	said := bootUML(t, fmt.Sprintf(umlInit, umlSize), umlText(), "vec0:transport=bess,dst="+b.Path, "mem=320M")
	for _, line := range []string{
		"static ping", "static page " + lab.HostPage, "down " + down + "  -\n", "up " + up + "\n",
		"dhcp address 10.0.2.15/24\n", "dhcp ping", "dhcp page " + lab.HostPage, "dhcp name " + lab.InetPage,
	} {
		if !strings.Contains(said, "uml: "+line) {
			t.Errorf("not %q", line)
		}
	}
	if t.Failed() {
		t.Logf("it said:\n%s", said)
	}
	// The C program spins from here on.
	checkIdle(t, b.Process.Pid)
}

// bootUML runs a User Mode Linux with its first process and, unless nil, a file
// /data to its end, and returns what was on its console, with plain line ends.
func bootUML(t *testing.T, init string, data io.Reader, options ...string) string {
	t.Helper()
	root := lab.TempDir(t, user)
	umlRoot(t, root, init, data)
	ctx, cancel := context.WithTimeout(t.Context(), umlTimeout)
	defer cancel()
	options = append(options, "rootfstype=hostfs", "rootflags="+root, "rw", "init=/init", "con=null", "con0=null,fd:1", "quiet")
	checkDocumented(t, "linux.uml "+strings.Join(options, " "))
	cmd := lab.Command(ctx, user, "linux.uml", options...)
	// Its memory is a file that it maps executable, its state is in ~/.uml.
	cmd.Env = append(cmd.Env, "HOME="+root, "TMPDIR=/dev/shm")
	var console lab.Log
	cmd.Stdout, cmd.Stderr = &console, &console
	// Its helpers keep the console open: who waits for that, waits for them.
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	said := strings.ReplaceAll(console.String(), "\r\n", "\n")
	if ctx.Err() != nil || err != nil && !errors.Is(err, exec.ErrWaitDelay) && cmd.ProcessState.ExitCode() < 0 {
		t.Errorf("User Mode Linux: %v, %v\n%s", err, ctx.Err(), said)
	}
	return said
}

// umlText is as many bytes, without a zero: busybox's wget sends a string.
func umlText() io.Reader {
	r, w := io.Pipe()
	go func() {
		io.Copy(hex.NewEncoder(w), lab.Stream(umlSize/2))
		w.Close()
	}()
	return r
}

// umlRoot makes the root directory of a machine.
func umlRoot(t *testing.T, root, init string, content io.Reader) {
	t.Helper()
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"bin", "proc", "sys", "dev", "tmp", "etc"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for file, content := range map[string]string{"bin/busybox": string(program), "init": init, "bound": umlBound, "etc/resolv.conf": ""} {
		if err := os.WriteFile(filepath.Join(root, file), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if content != nil {
		data, err := os.Create(filepath.Join(root, "data"))
		if err != nil {
			t.Fatal(err)
		}
		defer data.Close()
		if _, err := io.Copy(data, content); err != nil {
			t.Fatal(err)
		}
	}
	for _, applet := range []string{"sh", "mount", "ip", "wget", "udhcpc", "ping", "sha256sum", "sed", "poweroff"} {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", applet)); err != nil {
			t.Fatal(err)
		}
	}
	if err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return lab.Give(path, user)
	}); err != nil {
		t.Fatal(err)
	}
}
