package e2e

import (
	"fmt"
	"maps"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// manualOptions are the options of the manual, and a look at what each promises.
// What else there is to them is in the tests that docs/compatibility.md names.
var manualOptions = map[string]func(*testing.T){
	"--configure": func(t *testing.T) {
		g, _ := connectedGuest(t)
		checkConfigured(t, g)
	},
	"--exit-fd": func(t *testing.T) {
		theirs, ours, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer ours.Close()
		g := lab.NewGuest(t, lab.GuestOptions{})
		s := lab.StartSlirp(t, lab.SlirpOptions{UID: g.UID, NoExitFD: true, Files: []*os.File{theirs},
			Args: []string{"-c", "--exit-fd=5", strconv.Itoa(g.PID), "tap0"}})
		theirs.Close()
		ours.WriteString("this does not matter")
		checkReachesHost(t, g)
		ours.Close()
		if state := s.Wait(endTimeout); state == nil || state.ExitCode() != 0 {
			t.Errorf("ended with %v, want status 0", state)
		}
	},
	"--ready-fd": func(t *testing.T) { // the lab wants a 1 and the end of the file
		g, _, path := controlled(t)
		checkReachesHost(t, g)
		if entries := listed(t, path); len(entries) != 0 {
			t.Errorf("forwards: %v", entries)
		}
	},
	"--mtu": func(t *testing.T) {
		g, _ := connectedGuest(t, "--mtu=65521")
		checkMTU(t, g, 65521)
		manualRefused(t, "MTU must be a positive integer (< 65522)", "--mtu=65522")
	},
	"--enable-ipv6": func(t *testing.T) {
		g, _ := connectedGuest(t, "--enable-ipv6")
		if got := curl(t, g, "http://[2001:db8:100::2]/client"); !strings.HasPrefix(got, "[2001:db8:100::1]:") {
			t.Errorf("the server saw %s", got)
		}
	},
	"--cidr6": func(t *testing.T) {
		g, _ := connectedGuest(t, "--enable-ipv6", "--cidr6=fd77:1:2:3::/64")
		wantLines(t, shell(t, g, "ip -6 addr show dev tap0; ip -6 route show default"), "fd77:1:2:3::100/64", "default via fe80::2 dev tap0")
		g.Run(t, commandTimeout, "ping", "-c1", "-W2", "fd77:1:2:3::2")
	},
	"--api-socket": func(t *testing.T) {
		_, s, path := controlled(t)
		if got := askAPI(t, path, `{"execute":"nothing"}`); got != `{"error":{"desc":"bad request: unknown execute"}}` {
			t.Errorf("it replies %s", got)
		}
		s.Stop()
		if !gone(path) {
			t.Errorf("%s is left", path)
		}
	},
	"--api-socket-mode": func(t *testing.T) {
		_, _, path := controlled(t, "--api-socket-mode=640")
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o640 {
			t.Errorf("%v, %v", st, err)
		}
	},
	"--cidr": func(t *testing.T) {
		g, _ := connectedGuest(t, "--cidr=10.9.8.0/22")
		wantLines(t, shell(t, g, "ip addr show dev tap0; ip route show default"), "inet 10.9.8.100/22 ", "default via 10.9.8.2 dev tap0")
		for _, addr := range []string{"10.9.8.2", "10.9.8.3"} {
			g.Run(t, commandTimeout, "ping", "-c1", "-W2", addr)
		}
		manualRefused(t, "prefix length needs to be 1-25", "--cidr=10.0.2.0/26")
	},
	"--disable-host-loopback": func(t *testing.T) {
		g, _ := connectedGuest(t, "--disable-host-loopback")
		if c, err := g.Dial("tcp4", "10.0.2.2:8000", commandTimeout); errno(err) != syscall.ENETUNREACH {
			t.Errorf("connected to %v, %v", c, err)
		}
		manualQuery(t, g, lab.InetAddr4.String())
	},
	"--netns-type": func(t *testing.T) { // tapfd: in the synopsis
		for _, args := range []func(*lab.Guest) []string{pathOnly, func(g *lab.Guest) []string {
			return []string{"-c", "--netns-type=pid", strconv.Itoa(g.PID), "tap0"}
		}} {
			g := lab.NewGuest(t, lab.GuestOptions{})
			lab.StartSlirp(t, lab.SlirpOptions{UID: g.UID, Args: args(g)})
			checkReachesHost(t, g)
		}
	},
	"--userns-path": func(t *testing.T) {
		g := lab.NewGuest(t, lab.GuestOptions{})
		lab.StartSlirp(t, lab.SlirpOptions{UID: g.UID, Args: pathAndUserNS(g)})
		checkReachesHost(t, g)
		manualRefused(t, "userns path doesn't exist: /nowhere", "--userns-path=/nowhere")
	},
	"--enable-sandbox": func(t *testing.T) {
		_, s := connectedGuest(t, "--enable-sandbox")
		checkFiles(t, s.Process.Pid)
		checkMounts(t, s.Process.Pid)
	},
	"--enable-seccomp": func(t *testing.T) {
		g, s := connectedGuest(t, "--enable-seccomp")
		checkReachesHost(t, g)
		if got := manualStatus(t, s, "Seccomp"); got != "2" { // a filter
			t.Errorf("Seccomp: %s", got)
		}
	},
	"--seccomp-action": func(t *testing.T) {
		for _, action := range []string{"kill", "errno", "log"} {
			g, s := connectedGuest(t, "--enable-seccomp", "--seccomp-action="+action)
			checkReachesHost(t, g)
			if got := manualStatus(t, s, "Seccomp_filters"); got != "1" && !lab.OneUser() {
				t.Errorf("%s: %s filters", action, got)
			}
		}
		manualRefused(t, "--seccomp-action must be kill, errno or log", "--seccomp-action=none")
	},
	"--outbound-addr": func(t *testing.T) {
		hostAddress(t, "198.51.100.19/24", lab.HostLink)
		for addr, want := range map[string]string{"198.51.100.19": "198.51.100.19", lab.HostLink: lab.HostAddr4.String()} {
			g, _ := connectedGuest(t, "--outbound-addr="+addr)
			if got := curl(t, g, "http://198.51.100.2/client"); !strings.HasPrefix(got, want+":") {
				t.Errorf("%s: the server saw %s, want %s", addr, got, want)
			}
		}
	},
	"--outbound-addr6": func(t *testing.T) {
		for _, addr := range []string{lab.HostLink, "2001:db8:100::19"} {
			want := lab.HostAddr6.String()
			if addr != lab.HostLink {
				hostAddress6(t, addr+"/64", lab.HostLink)
				want = addr
			}
			g, _ := connectedGuest(t, "--enable-ipv6", "--outbound-addr6="+addr)
			if got := curl(t, g, "http://[2001:db8:100::2]/client"); !strings.HasPrefix(got, "["+want+"]:") {
				t.Errorf("%s: the server saw %s, want %s", addr, got, want)
			}
		}
	},
	"--disable-dns": func(t *testing.T) {
		g, _ := connectedGuest(t, "--disable-dns")
		g.Run(t, commandTimeout, "ping", "-c1", "-W2", "10.0.2.3")
		if got, _, err := queryA(g, "udp4", lab.Domain, time.Second); err == nil {
			t.Errorf("%s is %s", lab.Domain, got)
		}
	},
	"--dns": func(t *testing.T) {
		hostDNS(t, "127.0.0.1:5311", "192.0.2.11")
		g, _ := connectedGuest(t, "--dns=127.0.0.1:5311")
		manualQuery(t, g, "192.0.2.11")
	},
	"--dns-loopback": func(t *testing.T) {
		hostDNS(t, "127.0.0.1:5312", "192.0.2.12")
		g, _ := connectedGuest(t, "--dns=127.0.0.1:5312", "--dns="+lab.InetAddr4.String(), "--dns-loopback=off")
		manualQuery(t, g, lab.InetAddr4.String())
	},
	"--host-name": func(t *testing.T) {
		g, _ := connectedGuest(t, "--host-name=the.host")
		if got, _, err := queryA(g, "udp4", "the.host", commandTimeout); err != nil || got != "10.0.2.2" {
			t.Errorf("the.host is %s, %v", got, err)
		}
		manualRefused(t, "--host-name conflicts with --disable-host-loopback", "--host-name=the.host", "--disable-host-loopback")
	},
	"--macaddress": func(t *testing.T) {
		g, _ := connectedGuest(t, "--macaddress=02:00:5e:10:00:01")
		wantLines(t, shell(t, g, "ip link show dev tap0"), "link/ether 02:00:5e:10:00:01 ")
		g, _ = connectedGuest(t, "--macaddress=02:00:5e")
		wantLines(t, shell(t, g, "ip link show dev tap0"), "link/ether 02:00:5e:00:00:00 ")
		checkReachesHost(t, g)
	},
	"--target-type": func(t *testing.T) {
		b, first := startBESS(t)
		newStation(t, first, "10.0.2.100").handshake("10.0.2.2", lab.HostHTTPPort)
		newStation(t, b.Peer(t), "10.0.2.101").handshake("10.0.2.2", lab.HostHTTPPort)
	},
	"--publish": func(t *testing.T) {
		tcp, udp := freePort(t), freePort(t)
		g, _ := connectedGuest(t, "--publish", fmt.Sprintf("%d:80", tcp), "--publish", fmt.Sprintf("127.0.0.1:%d:53/udp", udp))
		guestServers(t, g, 80, 53)
		for network, c := range map[string]struct {
			port int
			want string
		}{"tcp": {tcp, "80"}, "udp": {udp, "53"}} {
			if got, err := (client{to: "127.0.0.1"}).answer(network, c.port); err != nil || got != c.want {
				t.Errorf("%s: %q, %v", network, got, err)
			}
		}
	},
	"--version": func(t *testing.T) {
		out, status := runToEnd(t, user, lab.Binary, "--version")
		if status != 0 || !regexp.MustCompile(`^slirp4netns version \d+\.\d+\.\d+\S*\ncommit: .*\nlibslirp: .*\nSLIRP_CONFIG_VERSION_MAX: \d+\n`).MatchString(out) {
			t.Errorf("status %d: %s", status, out)
		}
	},
}

// manualQuery asks the guest's name server.
func manualQuery(t *testing.T, g *lab.Guest, want string) {
	t.Helper()
	if got, _, err := queryA(g, "udp4", lab.Domain, commandTimeout); err != nil || got != want {
		t.Errorf("%s is %s, %v; want %s", lab.Domain, got, err, want)
	}
}

// manualRefused wants an error, and status 1.
func manualRefused(t *testing.T, message string, args ...string) {
	t.Helper()
	if out, status := runToEnd(t, user, lab.Binary, append(args, "1", "tap0")...); status != 1 || !strings.HasPrefix(out, message) {
		t.Errorf("%v: status %d, %q, want %q", args, status, out, message)
	}
}

// manualStatus is a line of proc_pid_status(5).
func manualStatus(t *testing.T, s *lab.Slirp, name string) string {
	t.Helper()
	return threadStatus(fmt.Sprintf("/proc/%d/status", s.Process.Pid))[name]
}

// TestManualOptions gives each option of our manual, which has all of the C
// program's.
func TestManualOptions(t *testing.T) {
	described := regexp.MustCompile(`(?m)^(?:\*\*-\w\*\*, )?\*\*(--[\w-]+)\*\*`).FindAllStringSubmatch(manualSection(t, "OPTIONS"), -1)
	if len(described) < 20 {
		t.Fatalf("%d options in the manual", len(described))
	}
	left := maps.Clone(manualOptions)
	help, status := runToEnd(t, user, lab.Binary, "--help")
	for _, m := range described {
		name := m[1]
		delete(left, name)
		if status != 0 || !strings.Contains(help, name) {
			t.Errorf("%s is not in --help, which ends with %d", name, status)
		}
		if name == "--help" {
			continue
		}
		look, ok := manualOptions[name]
		if !ok {
			t.Errorf("%s is tried by no test", name)
			continue
		}
		t.Run(name, look)
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		t.Errorf("the manual does not have %s", name)
	}
}

// TestManualSynopsis starts each line of it, which has to connect somebody.
func TestManualSynopsis(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(manualSection(t, "SYNOPSIS")), "\n\n")
	for i, c := range []struct {
		line    string
		connect func(t *testing.T)
	}{
		{"PID TAPNAME", func(t *testing.T) {
			g := lab.NewGuest(t, lab.GuestOptions{})
			lab.StartSlirp(t, lab.SlirpOptions{UID: g.UID, Args: []string{"--configure", strconv.Itoa(g.PID), "tap0"}})
			checkReachesHost(t, g)
		}},
		{"--netns-type=path PATH TAPNAME", func(t *testing.T) {
			g := lab.NewGuest(t, lab.GuestOptions{})
			lab.StartSlirp(t, lab.SlirpOptions{UID: g.UID, Args: []string{"--configure", "--netns-type=path", g.Path(), "tap0"}})
			checkReachesHost(t, g)
		}},
		{"--netns-type=tapfd FD", func(t *testing.T) {
			ours, theirs := lab.FramePair(t, syscall.SOCK_SEQPACKET)
			lab.StartSlirp(t, lab.SlirpOptions{UID: user, Files: []*os.File{theirs}, Args: []string{"--netns-type=tapfd", "5"}})
			theirs.Close()
			t.Cleanup(func() { ours.Close() })
			newStation(t, ours, "10.0.2.100").handshake("10.0.2.2", lab.HostHTTPPort)
		}},
		{"--target-type=bess PATH", func(t *testing.T) {
			_, first := startBESS(t)
			newStation(t, first, "10.0.2.100").handshake("10.0.2.2", lab.HostHTTPPort)
		}},
	} {
		t.Run(c.line, func(t *testing.T) {
			if i >= len(lines) || strings.ReplaceAll(lines[i], "*", "") != "slirp4netns [OPTION]... "+c.line {
				t.Errorf("the manual has %q", lines)
			}
			c.connect(t)
		})
	}
	if len(lines) != 4 {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
}

// TestManualOperands is what becomes of TAPNAME.
func TestManualOperands(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	s := lab.StartSlirp(t, lab.SlirpOptions{UID: g.UID, Args: []string{"--configure", strconv.Itoa(g.PID), "a-name-of-22-characters", "more"}})
	wantLines(t, s.Log(), "WARNING: too many arguments\n")
	if err := g.Do(func() error { _, err := net.InterfaceByName("a-name-of-22-ch"); return err }); err != nil {
		t.Error(err)
	}
	checkReachesHost(t, g)
	// It belongs to nobody else.
	out, status := runToEnd(t, g.UID, lab.Binary, "--configure", strconv.Itoa(g.PID), "a-name-of-22-ch")
	if status != 1 || !strings.Contains(out, "Device or resource busy") {
		t.Errorf("a second one: status %d, %s", status, out)
	}
	// One that is there is taken as it is.
	g = lab.NewGuest(t, lab.GuestOptions{})
	makeTAP(t, g)
	const which = "ip -o link show dev tap0 | sed 's/: .*link.ether//'" // number and address
	before := shell(t, g, which)
	g.Slirp(t, "--configure")
	if after := shell(t, g, which); after != before {
		t.Errorf("another interface: %q, before %q", after, before)
	}
	checkReachesHost(t, g)
}
