package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// The tests TestManual… are the sections of the C program's manual: what a user
// gets who types what is printed there. Three things differ: example.com is
// lab.test, a file in /tmp is one in the test's directory or in a /tmp of the
// guest's own, and what would run for ever is told to end.

// shell runs lines at the guest's prompt, and ends at the first that fails.
func shell(t *testing.T, g *lab.Guest, lines string) string {
	t.Helper()
	return g.Run(t, commandTimeout, "sh", "-ec", lines)
}

// manualGuest is made as the manual prints it. It has a /tmp of its own.
func manualGuest(t *testing.T) *lab.Guest {
	t.Helper()
	const unshare = "unshare --user --map-root-user --net --mount"
	checkDocumented(t, unshare)
	ctx, cancel := context.WithCancel(context.Background())
	g := lab.GuestOf(hold(t, lab.Command(ctx, user, "sh", "-c", "exec "+unshare+" sh -c '"+holdScript+"'"), cancel), "")
	shell(t, g, "mount -t tmpfs none /tmp")
	return g
}

// wantLines fails for each line that is not in text, spaces at its ends aside.
func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, line) {
			t.Errorf("%q is not in\n%s", line, text)
		}
	}
}

// TestManualDescription is the default configuration.
func TestManualDescription(t *testing.T) {
	t.Parallel()
	g := lab.NewGuest(t, lab.GuestOptions{})
	s := g.Slirp(t, "--configure", "--enable-ipv6")
	await(t, "the banner", func() bool { return strings.Contains(s.Log(), "Recommended IP:") })
	wantLines(t, s.Log(), "MTU:             1500\n", "Network:         10.0.2.0\n", "Gateway:         10.0.2.2\n", "DNS:             10.0.2.3\n",
		"DHCP begin:      10.0.2.15\n", "DHCP end:        10.0.2.30\n", "Recommended IP:  10.0.2.100\n")
	wantLines(t, shell(t, g, "ip a show dev tap0"), "mtu 1500 ", "inet 10.0.2.100/24 ", "inet6 fd00::100/64 scope global")
	for _, addr := range []string{"10.0.2.2", "10.0.2.3", "fd00::2", "fd00::3"} {
		g.Run(t, commandTimeout, "ping", "-c1", "-W2", addr)
	}
	for _, server := range []string{"10.0.2.3", "fd00::3"} {
		if got := g.Run(t, commandTimeout, "dig", "+short", "@"+server, lab.Domain); got != lab.InetAddr4.String()+"\n" {
			t.Errorf("%s: %q", server, got)
		}
	}
}

// TestManualExample is a namespace with the nameserver in a bind mount.
func TestManualExample(t *testing.T) {
	t.Parallel()
	g := manualGuest(t)
	s := g.Slirp(t, "--configure", "--mtu=65520")
	// What was said before the ready-fd has yet to be read by the lab.
	await(t, "the banner", func() bool { return strings.Contains(s.Log(), "DHCP end:") })
	wantLines(t, s.Log(), "* MTU:             65520\n")
	wantLines(t, shell(t, g, "ip a"), "lo: <LOOPBACK,UP,LOWER_UP>", "inet 127.0.0.1/8 ",
		"tap0: <BROADCAST,", ",UP,LOWER_UP> mtu 65520 ", "inet 10.0.2.100/24 brd 10.0.2.255 scope global tap0", "inet6 fe80::")
	got := shell(t, g, `
		echo "nameserver 10.0.2.3" > /tmp/resolv.conf
		mount --bind /tmp/resolv.conf /etc/resolv.conf
		curl --silent http://lab.test/
		dig lab.test
	`)
	wantLines(t, got, lab.InetPage, ";; SERVER: 10.0.2.3#53(10.0.2.3) (UDP)")
}

// TestManualExampleEtc is a namespace with an /etc of its own.
func TestManualExampleEtc(t *testing.T) {
	t.Parallel()
	g := manualGuest(t)
	g.Slirp(t, "--configure", "--mtu=65520")
	// mount(8) keeps notes below /etc, and complains where it cannot.
	got := shell(t, g, `set +e
		mkdir /tmp/a /tmp/b
		mount --rbind /etc /tmp/a
		mount --rbind /tmp/b /etc
		mkdir /etc/.ro
		mount --move /tmp/a /etc/.ro
		cd /etc
		for f in .ro/*; do ln -s $f $(basename $f); done
		rm resolv.conf
		echo "nameserver 10.0.2.3" > resolv.conf
		curl --silent http://lab.test/
		dig lab.test
		readlink passwd
	`)
	wantLines(t, got, lab.InetPage, ";; SERVER: 10.0.2.3#53(10.0.2.3) (UDP)", "\n.ro/passwd\n")
}

// TestManualExampleRootlessKit is the same by RootlessKit.
func TestManualExampleRootlessKit(t *testing.T) {
	t.Parallel()
	c := newCaller(t, user)
	out, err := c.in(lab.Command(t.Context(), user, "rootlesskit", "--net=slirp4netns", "--copy-up=/etc",
		"bash", "-c", "cat /etc/resolv.conf; curl --silent http://lab.test/")).Output()
	if want := "nameserver 10.0.2.3\n" + lab.InetPage; err != nil || string(out) != want {
		t.Errorf("%v: %q, want %q", err, out, want)
	}
	c.checkNothingLeft(c.last())
}

// TestManualRoutingPingPackets is net.ipv4.ping_group_range.
func TestManualRoutingPingPackets(t *testing.T) {
	lab.NeedUsers(t) // an ordinary user has but one group to name
	for groups, want := range map[string]int{"1 0": 1, "0 2147483647": 0} {
		lab.Host.Sysctl(t, "net.ipv4.ping_group_range", groups)
		g := lab.NewGuest(t, lab.GuestOptions{})
		g.Slirp(t, "--configure")
		if out, status := guestOutput(t, g, "ping", "-c1", "-W2", lab.InetAddr4.String()); status != want {
			t.Errorf("with %s: status %d, want %d: %s", groups, status, want, out)
		}
	}
}

// TestManualAPISocket asks by netcat, which does not close its side.
func TestManualAPISocket(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	path := socketPath(t, g.UID)
	g.Slirp(t, "--configure", "--api-socket", path)
	serveTCP(t, g, "0.0.0.0:80", func(c *net.TCPConn) { io.WriteString(c, "the guest") })
	ask := func(json, want string) {
		t.Helper()
		got := shell(t, g, fmt.Sprintf("json='%s'\necho -n $json | nc -U %s", json, path))
		if got := strings.Join(strings.Fields(got), ""); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", json, got, want)
		}
	}
	ask(`{"execute": "add_hostfwd", "arguments": {"proto": "tcp", "host_addr": "0.0.0.0", "host_port": 8080, "guest_addr": "10.0.2.100", "guest_port": 80}}`,
		`{"return":{"id":1}}`)
	if got, err := (client{to: "127.0.0.1"}).answer("tcp", 8080); err != nil || got != "the guest" {
		t.Errorf("%q, %v", got, err)
	}
	if entries := listed(t, path); len(entries) != 1 || fmt.Sprintf("%v %v", entries[0]["host_port"], entries[0]["guest_addr"]) != "8080 10.0.2.100" {
		t.Errorf("%v", entries)
	}
	ask(`{"execute": "remove_hostfwd", "arguments": {"id": 1}}`, `{"return":{}}`)
	checkRefused(t, 8080)
	ask(`{"execute": "remove_hostfwd", "arguments": {"id": 42}}`, `{"error":{"desc":"badrequest:remove_hostfwd:badarguments.id"`)
}

// TestManualDefinedNamespacePaths is --netns-type=path, with and without
// --userns-path, and for root a namespace of ip-netns(8).
func TestManualDefinedNamespacePaths(t *testing.T) {
	for name, args := range map[string]func(*lab.Guest) []string{"path": pathOnly, "path and userns-path": pathAndUserNS} {
		t.Run(name, func(t *testing.T) {
			g := lab.NewGuest(t, lab.GuestOptions{})
			lab.StartSlirp(t, lab.SlirpOptions{UID: g.UID, Args: args(g)})
			checkReachesHost(t, g)
		})
	}
	t.Run("ip netns", func(t *testing.T) {
		hostCommand(t, "ip", "netns", "add", "manual")
		t.Cleanup(func() { hostCommand(t, "ip", "netns", "del", "manual") })
		lab.StartSlirp(t, lab.SlirpOptions{Args: []string{"-c", "--netns-type=path", "/run/netns/manual", "tap0"}})
		if got := onHost(t, "ip", "netns", "exec", "manual", "curl", "--silent", "http://10.0.2.2:8000/"); got != lab.HostPage {
			t.Errorf("%q", got)
		}
	})
}

// TestManualOutboundAddresses is the printed pair of addresses, of which the
// second is a link-local one, and an interface.
func TestManualOutboundAddresses(t *testing.T) {
	for _, addr := range []string{"10.2.2.10/24", "fe80::10/64"} {
		hostCommand(t, "ip", "addr", "add", addr, "dev", lab.HostLink, "nodad")
		t.Cleanup(func() { hostCommand(t, "ip", "addr", "del", addr, "dev", lab.HostLink) })
	}
	hostCommand(t, "ip", "-n", "inet", "route", "add", "10.2.2.0/24", "dev", lab.InetLink)
	t.Cleanup(func() { hostCommand(t, "ip", "-n", "inet", "route", "del", "10.2.2.0/24", "dev", lab.InetLink) })
	for _, c := range []struct{ addr4, addr6, from4, from6 string }{
		{"10.2.2.10", "fe80::10", "10.2.2.10", "fe80::10"},
		{lab.HostLink, lab.HostLink, lab.HostAddr4.String(), lab.HostAddr6.String()},
	} {
		g := lab.NewGuest(t, lab.GuestOptions{})
		g.Slirp(t, "--configure", "--enable-ipv6", "--outbound-addr="+c.addr4, "--outbound-addr6="+c.addr6)
		for url, want := range map[string]string{
			"http://198.51.100.2/client": c.from4, "http://[2001:db8:100::2]/client": c.from6,
		} {
			host, _, err := net.SplitHostPort(curl(t, g, url))
			if host, _, _ = strings.Cut(host, "%"); err != nil || host != want {
				t.Errorf("--outbound-addr=%s --outbound-addr6=%s: the server saw %s (%v), want %s", c.addr4, c.addr6, host, err, want)
			}
		}
	}
}

// TestManualBugs is the remedy for slow forwarded ports: the guest's tcp_rmem.
func TestManualBugs(t *testing.T) {
	t.Parallel()
	const size = 16 << 20
	want, err := lab.SHA256(lab.Stream(size))
	if err != nil {
		t.Fatal(err)
	}
	g, _, path := controlled(t)
	before := shell(t, g, "cat /proc/sys/net/ipv4/tcp_rmem")
	after := shell(t, g, `
		c=$(cat /proc/sys/net/ipv4/tcp_rmem); echo $c | sed -e s/131072/87380/g > /proc/sys/net/ipv4/tcp_rmem
		cat /proc/sys/net/ipv4/tcp_rmem
	`)
	if wanted := strings.ReplaceAll(before, "131072", "87380"); after != wanted || before == after {
		t.Errorf("tcp_rmem is %q, before %q", after, before)
	}
	sum := make(chan string, 1)
	serveTCP(t, g, "0.0.0.0:80", func(c *net.TCPConn) {
		got, err := lab.SHA256(c)
		sum <- fmt.Sprint(got, err)
	})
	_, port := forward(t, path, "tcp", "127.0.0.1", 0, 80)
	c, err := client{to: "127.0.0.1"}.dial("tcp", port)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(c, lab.Stream(size)); err != nil {
		t.Error(err)
	}
	c.Close()
	if got := <-sum; got != want+"<nil>" {
		t.Errorf("SHA-256 %s, want %s", got, want)
	}
}

// manualUML is what the section prints, and a look at what comes of it.
const manualUML = `#!/bin/sh
export PATH=/bin
ip addr add 10.0.2.100/24 dev vec0
ip link set vec0 up
ip route add default via 10.0.2.2
echo "uml: page $(wget -qO- http://198.51.100.2/)"
poweroff -f
`

// TestManualBESSMode is User Mode Linux with the options as they are printed.
func TestManualBESSMode(t *testing.T) {
	path := filepath.Join(lab.TempDir(t, user), "bess.sock")
	first := make(chan *os.File, 1)
	go func() { first <- lab.DialWhenThere(path) }()
	checkSlirpDocumented(t, lab.StartSlirp(t, lab.SlirpOptions{UID: user, Args: []string{"--target-type=bess", path}}))
	(<-first).Close()
	said := bootUML(t, manualUML, nil, "vec0:transport=bess,dst="+path+",depth=128,gro=1", "root=/dev/root", "mem=2G")
	wantLines(t, said, "uml: page "+lab.InetPage)
}
