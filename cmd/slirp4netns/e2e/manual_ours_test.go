package e2e

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// What our own manual has sections for, and the C program's has not.

// TestManualIPv6 is the three addresses, and no other.
func TestManualIPv6(t *testing.T) {
	g, _ := connectedGuest(t, "--enable-ipv6")
	wantLines(t, shell(t, g, "ip -6 addr show dev tap0; ip -6 route show default"), "inet6 fd00::100/64 scope global", "default via fe80::2 dev tap0")
	for url, want := range map[string]string{
		"http://[fd00::2]:8000/": lab.HostPage, "http://[2001:db8:100::2]/": lab.InetPage,
	} {
		if got := curl(t, g, url); got != want {
			t.Errorf("%s: %q", url, got)
		}
	}
	wantLines(t, dig(t, g, "fd00::3", "+short", lab.Domain), lab.InetAddr4.String())
	if _, err := g.Dial("tcp6", "[fd00::4]:8000", commandTimeout); err == nil {
		t.Error("connected to fd00::4")
	}
}

// TestManualNameServer passes by a resolver that is silent, and follows
// resolv.conf.
func TestManualNameServer(t *testing.T) {
	hostDNS(t, "127.0.0.21:53", "192.0.2.21")
	hostDNS(t, "127.0.0.22:53", "192.0.2.22")
	conf := hostEtc(t, silentServer, "127.0.0.21")
	g, _ := connectedGuest(t)
	for _, network := range []string{"udp4", "tcp4"} {
		if got, took, err := queryA(g, network, lab.Domain, commandTimeout); err != nil || got != "192.0.2.21" || took > 2*time.Second {
			t.Errorf("%s: %s, %v, after %v", network, got, err, took)
		}
	}
	if err := os.WriteFile(conf, []byte("nameserver 127.0.0.22\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	manualQuery(t, g, "192.0.2.22")
}

// TestManualDHCP is two clients, and one that asks for the address of
// --configure.
func TestManualDHCP(t *testing.T) {
	g := dhcpGuest(t)
	for i, want := range []string{"10.0.2.15", "10.0.2.16"} {
		otherClient(t, g, fmt.Sprintf("02:00:00:00:00:%02d", i))
		if got := lease(t, g, "-r", "10.0.2.100", "-O", "mtu"); !strings.HasPrefix(got, "ip="+want+" mask=24 router=10.0.2.2 dns=10.0.2.3 ") ||
			!strings.Contains(got, " lease=86400 mtu=1500 ") {
			t.Errorf("lease %q, want %s", got, want)
		}
	}
}

// TestManualExitStatus is how it may end.
func TestManualExitStatus(t *testing.T) {
	for _, c := range []struct {
		args   []string
		status int
	}{
		{[]string{"--help"}, 0}, {[]string{"--version"}, 0}, {[]string{"--bad"}, 1}, {nil, 1}, {[]string{"999999999", "tap0"}, 1},
	} {
		if out, status := runToEnd(t, user, lab.Binary, c.args...); status != c.status {
			t.Errorf("%v: status %d, want %d: %s", c.args, status, c.status, out)
		}
	}
	g := lab.NewGuest(t, lab.GuestOptions{})
	s := g.Slirp(t, "-c")
	shell(t, g, "ip link del tap0")
	if state := s.Wait(endTimeout); state == nil || state.ExitCode() != 0 {
		t.Errorf("after the TAP's end: %v, want status 0", state)
	}
	g = lab.NewGuest(t, lab.GuestOptions{})
	s = lab.StartSlirp(t, lab.SlirpOptions{UID: g.UID, NoExitFD: true, Args: []string{"-c", strconv.Itoa(g.PID), "tap0"}})
	g.Kill()
	if state := s.Wait(endTimeout); state == nil || state.ExitCode() != 0 {
		t.Errorf("after the namespace's end: %v, want status 0", state)
	}
	// After the exit-fd: each test that ends a slirp4netns by it.
}

// TestManualSignals sends each signal of the section. The control socket does
// not outlive the process.
func TestManualSignals(t *testing.T) {
	text := manualSection(t, "SIGNALS")
	for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM} {
		name := unix.SignalName(sig)
		if !strings.Contains(text, name) {
			t.Errorf("the manual does not name %s", name)
		}
		_, s, path := controlled(t)
		if err := s.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		state := s.Wait(endTimeout)
		if state == nil {
			continue
		}
		if ws := state.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != sig {
			t.Errorf("%s: %v", name, state)
		}
		if !gone(path) {
			t.Errorf("%s: %s is left", name, path)
		}
	}
}

// TestManualEnvironment is POSIXLY_CORRECT.
func TestManualEnvironment(t *testing.T) {
	for env, configured := range map[string]bool{"NOTHING=1": true, "POSIXLY_CORRECT=1": false} {
		g := lab.NewGuest(t, lab.GuestOptions{})
		s := lab.StartSlirp(t, lab.SlirpOptions{UID: g.UID, Env: []string{env}, Args: []string{strconv.Itoa(g.PID), "tap0", "--configure"}})
		if got := shell(t, g, "ip -4 -o addr show dev tap0"); strings.Contains(got, "10.0.2.100") != configured {
			t.Errorf("%s: %q", env, got)
		}
		if said := strings.Contains(s.Log(), "WARNING: too many arguments\n"); said == configured {
			t.Errorf("%s: %s", env, s.Log())
		}
	}
}

// TestManualControlSocket types what the section prints, and asks by ctl.
func TestManualControlSocket(t *testing.T) {
	const printed = "/tmp/slirp4netns.sock"
	_, example, _ := strings.Cut(manualSection(t, "CONTROL SOCKET"), "```console\n$ ")
	example, _, _ = strings.Cut(example, "```")
	request, reply, _ := strings.Cut(example, printed+"\n")
	if request == "" || reply != `{"return":{"id":1}}`+"\n" {
		t.Fatalf("the manual has %q", example)
	}
	g, _, path := controlled(t)
	guestServers(t, g, 80)
	if got := typed(t, g.UID, request+path); got != strings.TrimSpace(reply) {
		t.Errorf("%q, want %q", got, reply)
	}
	if got, err := (client{to: "127.0.0.1"}).answer("tcp", 8080); err != nil || got != "80" {
		t.Errorf("port 8080: %q, %v", got, err)
	}
	for _, c := range []struct{ args, want string }{
		{"add 127.0.0.1:8081:80", "2\n"}, {"forwards", "127.0.0.1:8081"}, {"flows", "PROTO"}, {"stats", "tcp"}, {"info", "version "}, {"remove 1 --cut", ""},
	} {
		out, stderr, status := ctl(t, g.UID, append([]string{path}, strings.Fields(c.args)...)...)
		if status != 0 || !strings.Contains(out, c.want) {
			t.Errorf("ctl %s: status %d, %q, %q", c.args, status, out, stderr)
		}
	}
	if _, err := (client{to: "127.0.0.1"}).dial("tcp", 8080); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("after its removal: %v", err)
	}
}

// TestManualUserModeLinux is machines on one switch, without a kernel.
func TestManualUserModeLinux(t *testing.T) {
	b, first := startBESS(t)
	one, two := newStation(t, first, "10.0.2.100"), newStation(t, b.Peer(t), "10.0.2.101")
	for i, s := range []*station{one, two} {
		if got, want := s.discover().String(), fmt.Sprintf("10.0.2.%d", 15+i); got != want {
			t.Errorf("%v is offered %s, want %s", s.addr, got, want)
		}
		s.handshake("10.0.2.2", lab.HostHTTPPort)
	}
	two.send(two.ethernet(one.mac, protoIPv4, ipv4(header.UDPProtocolNumber, two.addr, one.addr, udp(1, 2, []byte("hello")))))
	one.want("what the other one sends", func(f []byte) bool { return strings.HasSuffix(string(f), "hello") })
	// They go, and others come.
	first.Close()
	two.handshake("10.0.2.2", lab.HostHTTPPort)
	newStation(t, b.Peer(t), "10.0.2.102").handshake("10.0.2.2", lab.HostHTTPPort)
	b.Stop()
	if !gone(b.Path) {
		t.Errorf("%s is left", b.Path)
	}
}
