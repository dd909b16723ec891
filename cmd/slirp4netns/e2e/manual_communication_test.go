package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// TestManualInterNamespaceCommunication nests two network namespaces in the guest's.
func TestManualInterNamespaceCommunication(t *testing.T) {
	t.Parallel()
	g := lab.NewGuest(t, lab.GuestOptions{})
	g.Slirp(t, "--configure")
	out := shell(t, g, `
		mount -t tmpfs none /run
		ip netns add foo
		ip netns add bar
		ip link add veth-foo type veth peer name veth-bar
		ip link set veth-foo netns foo
		ip link set veth-bar netns bar
		ip netns exec foo ip link set veth-foo name eth0
		ip netns exec bar ip link set veth-bar name eth0
		ip netns exec foo ip link set lo up
		ip netns exec bar ip link set lo up
		ip netns exec foo ip link set eth0 up
		ip netns exec bar ip link set eth0 up
		ip netns exec foo ip addr add 192.168.42.100/24 dev eth0
		ip netns exec bar ip addr add 192.168.42.101/24 dev eth0
		ip netns exec bar ping -c 3 -i 0.2 -W 2 192.168.42.100
	`)
	wantLines(t, out, "3 received, 0% packet loss")
	checkReachesHost(t, g) // it is disturbed by none of that
}

// TestNested is a slirp4netns in the guest of another one, as in rootless
// containers in rootless containers. The inner guest reaches the internet by
// way of both, and the outer one as its gateway's loopback.
func TestNested(t *testing.T) {
	t.Parallel()
	outer := lab.NewGuest(t, lab.GuestOptions{})
	outer.Slirp(t, "--configure", "--enable-ipv6")
	inner := lab.GuestOf(holdIn(t, outer, "unshare", "--map-root-user", "--net", "--mount"), "")
	lab.StartSlirp(t, lab.SlirpOptions{UID: outer.UID,
		Binary: script(t, outer.UID, "exec "+strings.Join(outer.Enter(), " ")+" "+lab.Binary+` "$@"`),
		Args:   []string{"--configure", "--enable-ipv6", "--cidr=10.0.9.0/24", "--cidr6=fd09::/64", strconv.Itoa(inner.PID), "tap0"}})
	serveTCP(t, outer, "127.0.0.1:80", func(c *net.TCPConn) { io.WriteString(c, "the outer guest") })
	inner.Nameserver(t, "10.0.9.3")
	for url, want := range map[string]string{
		"http://lab.test/": lab.InetPage, "http://[2001:db8:100::2]/": lab.InetPage,
	} {
		if got := curl(t, inner, url); got != want {
			t.Errorf("%s: %q", url, got)
		}
	}
	c, err := inner.Dial("tcp4", "10.0.9.2:80", commandTimeout)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := readAll(c); got != "the outer guest" {
		t.Errorf("%q, %v", got, err)
	}
	checkTransfer(t, inner)
}

// holdIn runs a command in the guest that makes namespaces, and returns the PID
// of a process that waits in them until the test ends.
func holdIn(t *testing.T, g *lab.Guest, name string, args ...string) int {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	return hold(t, g.Command(ctx, name, append(args, "sh", "-c", holdScript)...), cancel)
}

// holdScript is what waits for hold.
const holdScript = "echo $$ && exec sleep 600"

// hold starts a command that ends up in holdScript, and returns its PID.
func hold(t *testing.T, cmd *exec.Cmd, cancel func()) int {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// TestManualInterNamespaceCommunicationVDE connects the guests of two instances by a switch
// of Virtual Distributed Ethernet.
func TestManualInterNamespaceCommunicationVDE(t *testing.T) {
	t.Parallel()
	dir := lab.TempDir(t, user)
	t.Cleanup(func() {
		for _, pid := range processesOf(t, "/usr/bin/vde_plug") {
			unix.Kill(pid, unix.SIGKILL)
		}
	})
	run := func(args ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
		defer cancel()
		if out, err := lab.Command(ctx, user, args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	run("vde_plug", "--daemon", "switch://"+dir+"/switch", "null://")
	var instances [2]*lab.Guest
	for i := range instances {
		g := lab.NewGuest(t, lab.GuestOptions{})
		g.Slirp(t, "--configure")
		enter := []string{"nsenter", "-t", strconv.Itoa(g.PID), "-U", "--preserve-credentials", "-n"}
		await(t, "the switch", func() bool { return !gone(filepath.Join(dir, "switch", "ctl")) })
		checkDocumented(t, strings.Join(enter, " "))
		run(append(enter, "vde_plug", "--daemon", "vde://"+dir+"/switch", "tap://vde")...)
		await(t, "the interface vde", func() bool { return g.Do(func() error { _, err := net.InterfaceByName("vde"); return err }) == nil })
		run(append(enter, "ip", "link", "set", "vde", "up")...)
		run(append(enter, "ip", "addr", "add", fmt.Sprintf("192.168.42.%d/24", 100+i), "dev", "vde")...)
		instances[i] = g
	}
	wantLines(t, instances[1].Run(t, commandTimeout, "ping", "-c", "3", "-i", "0.2", "-W", "2", "192.168.42.100"), "3 received")
	for _, g := range instances {
		checkReachesHost(t, g)
	}
}

// TestManualInterHostCommunication connects the guests of two instances on two hosts by
// VXLAN: a UDP port of each host leads to its guest.
func TestManualInterHostCommunication(t *testing.T) {
	t.Parallel()
	const size = 16 << 20
	want, err := lab.SHA256(lab.Stream(size))
	if err != nil {
		t.Fatal(err)
	}
	a, b := lab.HostPair(t)
	var guests [2]*lab.Guest
	for i, h := range []struct{ here, there *lab.SecondHost }{{a, b}, {b, a}} {
		g := lab.NewGuest(t, lab.GuestOptions{})
		guests[i] = g
		path := socketPath(t, user)
		wrapper := strings.Join(append([]string{"exec", "nsenter", "--net=" + h.here.Path()}, lab.AsUser(user)...), " ")
		lab.StartSlirp(t, lab.SlirpOptions{Binary: script(t, 0, wrapper+" "+lab.Binary+` "$@"`),
			Args: []string{"--configure", "--mtu=1500", "--api-socket=" + path, strconv.Itoa(g.PID), "tap0"}})
		forward(t, path, "udp", "0.0.0.0", 4789, 4789)
		shell(t, g, fmt.Sprintf(`
			ip link add vx0 type vxlan id 42 dstport 4789 remote %v local 10.0.2.100 dev tap0
			ip addr add 192.168.99.%d/24 dev vx0
			ip link set vx0 mtu 1450 up
		`, h.there.Addr, i+1))
	}
	wantLines(t, guests[0].Run(t, commandTimeout, "ping", "-c", "3", "-i", "0.2", "-W", "2", "192.168.99.2"), "3 received")
	for i, g := range guests {
		serveTCP(t, g, "0.0.0.0:80", func(c *net.TCPConn) { io.Copy(c, lab.Stream(size)) })
		c, err := guests[1-i].Dial("tcp4", fmt.Sprintf("192.168.99.%d:80", i+1), commandTimeout)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if got, err := lab.SHA256(c); err != nil || got != want {
			t.Errorf("from host %d: SHA-256 %s, want %s; %v", i, got, want, err)
		}
	}
}
