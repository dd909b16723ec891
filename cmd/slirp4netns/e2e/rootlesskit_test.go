package e2e

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// rootlessKit is a running RootlessKit of an ordinary user, and its guest.
type rootlessKit struct {
	*caller
	guest *lab.Guest
	state string // its directory
	cmd   *exec.Cmd
	stdin io.Closer // its end ends what runs in it
	said  lab.Log
	ended chan struct{}
}

// aptRootlessKit is where Debian has it.
const aptRootlessKit = "/usr/bin"

// currentRootlessKit is a directory with the one of tools.mod. The repository
// may be where ordinary users cannot go.
func currentRootlessKit(t *testing.T) string {
	t.Helper()
	dir := lab.TempDir(t, user)
	for _, name := range []string{"rootlesskit", "rootlessctl"} {
		program, err := os.ReadFile(filepath.Join("../../../bin/lab/rootlesskit", name))
		if err != nil {
			t.Fatalf("%v (run make clients)", err)
		}
		if err := lab.WriteExecutable(filepath.Join(dir, name), string(program)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// kitLocks are the options that have slirp4netns lock itself up, or not.
func kitLocks(locked bool) []string {
	return []string{fmt.Sprintf("--slirp4netns-sandbox=%t", locked), fmt.Sprintf("--slirp4netns-seccomp=%t", locked)}
}

// startRootlessKit starts the one of a directory, with the network driver
// slirp4netns, and waits until its program runs. netns is where the network
// namespace is, "" for that of the program.
func startRootlessKit(t *testing.T, dir, netns string, args ...string) *rootlessKit {
	t.Helper()
	c := newCaller(t, user)
	return c.startRootlessKit(dir, netns, args...)
}

func (c *caller) startRootlessKit(dir, netns string, args ...string) *rootlessKit {
	c.t.Helper()
	k := &rootlessKit{caller: c, state: filepath.Join(c.dir, "state"), ended: make(chan struct{})}
	args = append([]string{"--state-dir=" + k.state, "--net=slirp4netns", "--copy-up=/etc", "--copy-up=/run"}, args...)
	k.cmd = c.in(lab.Command(context.Background(), user, filepath.Join(dir, "rootlesskit"),
		append(args, "sh", "-c", "echo ready && exec cat")...))
	out, outW, err := os.Pipe()
	if err != nil {
		c.t.Fatal(err)
	}
	defer out.Close()
	k.cmd.Stdout, k.cmd.Stderr = outW, &k.said
	if k.stdin, err = k.cmd.StdinPipe(); err != nil {
		c.t.Fatal(err)
	}
	err = k.cmd.Start()
	outW.Close()
	if err != nil {
		c.t.Fatal(err)
	}
	go func() {
		k.cmd.Wait()
		close(k.ended)
	}()
	c.t.Cleanup(func() {
		k.cmd.Process.Kill()
		<-k.ended
		if c.t.Failed() {
			c.t.Logf("rootlesskit %v said:\n%s", args, k.said.String())
		}
	})
	out.SetReadDeadline(time.Now().Add(commandTimeout))
	line := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(out, line); err != nil || string(line) != "ready\n" {
		c.t.Fatalf("rootlesskit: %q, %v", line, err)
	}
	pid := 0
	await(c.t, "child_pid", func() bool { // it may be written after the program's start
		b, _ := os.ReadFile(filepath.Join(k.state, "child_pid"))
		pid, err = strconv.Atoi(strings.TrimSpace(string(b)))
		return err == nil
	})
	if netns != "" {
		netns = filepath.Join(k.state, netns)
	}
	k.guest = lab.GuestOf(pid, netns)
	return k
}

// ctl is what its rootlessctl says.
func (k *rootlessKit) ctl(args ...string) string {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), commandTimeout)
	defer cancel()
	program := filepath.Join(filepath.Dir(k.cmd.Path), "rootlessctl")
	cmd := lab.Command(ctx, user, program, append([]string{"--socket=" + k.state + "/api.sock"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		k.t.Fatalf("%s %v: %v: %s", program, args, err, out)
	}
	return string(out)
}

// stop ends what runs in it, after which nothing is left.
func (k *rootlessKit) stop(ports ...int) {
	k.t.Helper()
	k.stdin.Close()
	select {
	case <-k.ended:
	case <-time.After(endTimeout):
		k.t.Fatal("rootlesskit has not ended")
	}
	if status := k.cmd.ProcessState.ExitCode(); status != 0 {
		k.t.Errorf("rootlesskit: status %d", status)
	}
	k.checkNothingLeft(k.last(), ports...)
	if !gone(k.state) {
		k.t.Errorf("%s is left", k.state)
	}
}

// checkPublished wants a port of the host, with any of its IPv4 addresses, to
// lead to the guest's.
func checkPublished(t *testing.T, network string, port, guestPort int) {
	t.Helper()
	for _, to := range []string{"127.0.0.1", lab.HostAddr4.String()} {
		got, err := client{to: to}.answer(network, port)
		if want := fmt.Sprint(guestPort); err != nil || got != want {
			t.Errorf("%s port %d of %s: %q, %v; want %s", network, port, to, got, err, want)
		}
	}
}

// checkRefused wants nobody to be at a TCP port of the host.
func checkRefused(t *testing.T, port int) {
	t.Helper()
	if got, err := (client{to: "127.0.0.1"}).answer("tcp", port); err == nil {
		t.Errorf("port %d: %q, want nobody to be there", port, got)
	}
}

// checkMTU wants tap0 to have it.
func checkMTU(t *testing.T, g *lab.Guest, mtu int) {
	t.Helper()
	if out, want := g.Run(t, commandTimeout, "ip", "link", "show", "tap0"), fmt.Sprintf(" mtu %d ", mtu); !strings.Contains(out, want) {
		t.Errorf("%q, want%s", out, want)
	}
}

// overRootlessKits runs a test with Debian's RootlessKit and with a current one.
func overRootlessKits(t *testing.T, test func(t *testing.T, dir string)) {
	t.Parallel()
	for name, dir := range map[string]func(*testing.T) string{
		"1.1.0": func(*testing.T) string { return aptRootlessKit }, "3.3.0": currentRootlessKit,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := dir(t)
			if got, want := onHost(t, filepath.Join(dir, "rootlesskit"), "--version"), "rootlesskit version "+name+"\n"; got != want {
				t.Errorf("%q, want %q", got, want)
			}
			test(t, dir)
		})
	}
}

// TestRootlessKit is everything that RootlessKit can ask of slirp4netns: both
// locks, another network, IPv6, no loopback, and ports that slirp4netns
// forwards, from the start and later.
func TestRootlessKit(t *testing.T) { overRootlessKits(t, testRootlessKit) }

func testRootlessKit(t *testing.T, dir string) {
	ports := []int{freePort(t), freePort(t), freePort(t)}
	k := startRootlessKit(t, dir, "", append(kitLocks(true), "--port-driver=slirp4netns", "--disable-host-loopback",
		"--ipv6", "--mtu=1500", "--cidr=10.0.42.0/24",
		fmt.Sprintf("--publish=0.0.0.0:%d:8080/tcp", ports[0]), fmt.Sprintf("--publish=0.0.0.0:%d:5300/udp", ports[1]))...)
	g := k.guest
	checkLocked(t, k.last().pid)
	checkMTU(t, g, 1500)
	g.Run(t, commandTimeout, "ping", "-c1", "-W2", "10.0.42.2")

	// The nameserver is that of the file that RootlessKit writes.
	if got := g.Run(t, commandTimeout, "cat", "/etc/resolv.conf"); !strings.Contains(got, "nameserver 10.0.42.3\n") {
		t.Errorf("resolv.conf: %q", got)
	}
	await(t, "an IPv6 address", func() bool {
		return strings.Contains(g.Run(t, commandTimeout, "ip", "-6", "addr", "show", "dev", "tap0", "scope", "global", "-tentative"), "inet6 fd00::")
	})
	for _, version := range []string{"-4", "-6"} {
		if got := curl(t, g, version, "http://lab.test/"); got != lab.InetPage {
			t.Errorf("curl %s: %q", version, got)
		}
	}
	if out, status := guestOutput(t, g, "curl", "--silent", "--max-time", "5", "http://10.0.42.2:8000/"); status == 0 {
		t.Errorf("the host's loopback is reached: %q", out)
	}
	checkTransfer(t, g)

	guestServers(t, g, 8080, 5300)
	checkPublished(t, "tcp", ports[0], 8080)
	checkPublished(t, "udp", ports[1], 5300)
	if out := k.ctl("list-ports"); strings.Count(out, "0.0.0.0") != 2 {
		t.Errorf("rootlessctl list-ports: %s", out)
	}
	id := strings.TrimSpace(k.ctl("add-ports", fmt.Sprintf("0.0.0.0:%d:8080/tcp", ports[2])))
	checkPublished(t, "tcp", ports[2], 8080)
	if entries := listed(t, k.last().socket()); len(entries) != 3 {
		t.Errorf("the control socket lists %v", entries)
	}
	k.ctl("remove-ports", id)
	checkRefused(t, ports[2])
	k.stop(ports...)
}

// checkTransfer wants a few MiB to arrive whole, both ways.
func checkTransfer(t *testing.T, g *lab.Guest) {
	t.Helper()
	const size = 8 << 20
	want, err := lab.SHA256(lab.Stream(size))
	if err != nil {
		t.Fatal(err)
	}
	if got := digest(t, g, "curl", "--silent", "--show-error", "--fail", fmt.Sprintf("http://198.51.100.2/bytes/%d", size)); got != want {
		t.Errorf("down: SHA-256 %s, want %s", got, want)
	}
	if got := upload(t, g, size); got != want {
		t.Errorf("up: SHA-256 %s, want %s", got, want)
	}
}

// TestRootlessKitBuiltin is RootlessKit as Docker and nerdctl start it by
// default: it forwards ports itself, and has slirp4netns lock itself up if it
// can, or not at all.
func TestRootlessKitBuiltin(t *testing.T) { overRootlessKits(t, testRootlessKitBuiltin) }

func testRootlessKitBuiltin(t *testing.T, dir string) {
	port := freePort(t)
	k := startRootlessKit(t, dir, "", append(kitLocks(lab.Locked()), "--port-driver=builtin",
		fmt.Sprintf("--publish=127.0.0.1:%d:8080/tcp", port))...)
	checkMTU(t, k.guest, 65520)
	if got := curl(t, k.guest, "http://10.0.2.2:8000/"); got != lab.HostPage {
		t.Errorf("the host's loopback: %q", got)
	}
	if got := curl(t, k.guest, "http://lab.test/"); got != lab.InetPage {
		t.Errorf("%q", got)
	}
	for _, size := range []int{1, 1400, 9000} {
		if err := udpEcho(k.guest, "198.51.100.2:7", size); err != nil {
			t.Errorf("UDP, %d bytes: %v", size, err)
		}
	}
	guestServers(t, k.guest, 8080)
	if got, err := (client{to: "127.0.0.1"}).answer("tcp", port); err != nil || got != "8080" {
		t.Errorf("%q, %v", got, err)
	}
	k.stop(port)
}

// TestRootlessKitKilled: SIGKILL of RootlessKit ends slirp4netns, whose ports
// are free at once. The socket stays, as nobody is left to remove it, and is no
// obstacle for the next one.
func TestRootlessKitKilled(t *testing.T) { overRootlessKits(t, testRootlessKitKilled) }

func testRootlessKitKilled(t *testing.T, dir string) {
	port := freePort(t)
	c := newCaller(t, user)
	for range 2 {
		k := c.startRootlessKit(dir, "", append(kitLocks(lab.Locked()), "--port-driver=slirp4netns",
			fmt.Sprintf("--publish=0.0.0.0:%d:8080/tcp", port))...)
		guestServers(t, k.guest, 8080)
		checkPublished(t, "tcp", port, 8080)
		k.cmd.Process.Kill()
		<-k.ended
		await(t, "slirp4netns has ended", func() bool { return !c.last().running() })
		checkRefused(t, port)
	}
}

// TestRootlessKitDetached: the network namespace is not that of RootlessKit's
// own program, as rootless Docker has it. RootlessKit itself refuses the sandbox.
func TestRootlessKitDetached(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	k := startRootlessKit(t, currentRootlessKit(t), "netns", fmt.Sprintf("--slirp4netns-seccomp=%t", lab.Locked()), "--detach-netns",
		"--port-driver=slirp4netns", "--disable-host-loopback", "--cidr=10.0.43.0/24", "--ipv6", fmt.Sprintf("--publish=0.0.0.0:%d:8080/tcp", port))
	if args := k.last().args; !strings.Contains(args, "--netns-type=path") {
		t.Errorf("the namespace is not detached: %s", args)
	}
	g := k.guest
	g.Run(t, commandTimeout, "ping", "-c1", "-W2", "10.0.43.2")
	if got := g.Run(t, commandTimeout, "dig", "+short", "@10.0.43.3", lab.Domain); got != lab.InetAddr4.String()+"\n" {
		t.Errorf("DNS: %q", got)
	}
	checkTransfer(t, g)
	guestServers(t, g, 8080)
	checkPublished(t, "tcp", port, 8080)
	k.stop(port)
}
