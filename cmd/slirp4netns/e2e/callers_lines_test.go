package e2e

import (
	"context"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// callersLine is one way to call slirp4netns, and to wait for it.
type callersLine struct {
	line string
	tap  string
	// ready is the file with the ready-fd's byte; "1" is stdout itself; "":
	// they wait for the interface.
	ready string
	page  string // from where a page is to be had; "": by name
}

func (c callersLine) nameserver() string {
	if strings.Contains(c.line, "169.254.254.0/24") {
		return "169.254.254.3"
	}
	return "10.0.2.3"
}

// callersLines are how programs and scripts that we do not start here call
// slirp4netns, as a shell would. $P is the guest's process, $D a directory.
var callersLines = map[string]callersLine{
	"bubblewrap's owner, ready-fd 1": {
		"--userns-path=/proc/self/fd/5 --configure --disable-host-loopback --ready-fd=1 $P tap0 5</proc/$P/ns/user", "tap0", "1", ""},
	"ready-fd beside stdout": {
		"-c -m 1500 -r 4 --api-socket $D/api.sock $P tap0 4>&1 2>/dev/null", "tap0", "1", ""},
	"descriptors for all": {
		"--configure --disable-host-loopback --disable-dns --enable-ipv6 --enable-sandbox --enable-seccomp --netns-type=path " +
			"--userns-path=/proc/self/fd/5 --exit-fd 8 --ready-fd 9 /proc/self/fd/7 tap0 5</proc/$P/ns/user 7</proc/$P/ns/net 8<>$D/exit 9>$D/ready",
		"tap0", "ready", "198.51.100.2"},
	"operands first": {
		"$P tap0 --configure --mtu 65520", "tap0", "", ""},
	"exit-fd last": {
		"-c --userns-path=/proc/$P/ns/user --netns-type=pid $P tap0 -e 3 3<>$D/exit", "tap0", "", ""},
	"abbreviated": {
		"--ready=6 --configure --userns-path=/proc/$P/ns/user --outbound-addr=198.51.100.1 --disable-host-loopback $P tap0 6>$D/ready", "tap0", "ready", ""},
	"option between operands": {
		"-c --netns-type=path /proc/$P/ns/net -a $D/api.sock tap0", "tap0", "", ""},
	"link-local network": {
		"--configure --mtu=65520 --disable-host-loopback --cidr 169.254.254.0/24 $P net0", "net0", "", ""},
	"regular file, other name": {
		"-c -r 9 $P tun11 9>$D/ready", "tun11", "ready", ""},
}

// TestCallersLines starts each as an ordinary user.
func TestCallersLines(t *testing.T) {
	for name, c := range callersLines {
		t.Run(name, func(t *testing.T) {
			g := lab.NewGuest(t, lab.GuestOptions{})
			dir := lab.TempDir(t, g.UID)
			if err := syscall.Mkfifo(dir+"/exit", 0o600); err != nil {
				t.Fatal(err)
			}
			if err := lab.Give(dir+"/exit", g.UID); err != nil {
				t.Fatal(err)
			}
			cmd := lab.Command(context.Background(), g.UID, "sh", "-c", "exec slirp4netns "+strings.Join(append(lab.Locks(), c.line), " "))
			cmd.Env = append(cmd.Env, "P="+strconv.Itoa(g.PID), "D="+dir)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			var stderr lab.Log
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				cmd.Process.Signal(syscall.SIGTERM)
				cmd.Wait()
				if t.Failed() {
					t.Logf("%s said:\n%s", c.line, stderr.String())
				}
			})
			switch c.ready {
			case "1":
				b := make([]byte, 2)
				if n, err := out.Read(b); string(b[:n]) != "1" {
					t.Fatalf("stdout began with %q, %v; want 1", b[:n], err)
				}
			case "":
				await(t, c.tap+" is there", func() bool {
					return g.Do(func() error { _, err := net.InterfaceByName(c.tap); return err }) == nil
				})
			default:
				await(t, "the ready-fd's byte is there", func() bool {
					b, err := os.ReadFile(dir + "/" + c.ready)
					return err == nil && string(b) == "1"
				})
			}
			if c.page == "" {
				c.page = lab.Domain
			}
			g.Run(t, commandTimeout, "sh", "-c", "until ip route | grep -q default; do :; done")
			g.Nameserver(t, c.nameserver())
			if got := curl(t, g, "http://"+c.page+"/"); got != lab.InetPage {
				t.Errorf("%s: %q, want %q", c.page, got, lab.InetPage)
			}
		})
	}
}
