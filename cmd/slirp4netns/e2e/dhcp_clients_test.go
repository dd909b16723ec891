package e2e

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// A client of busybox obtains, renews and releases, and has it all again.
func TestDHCPUdhcpc(t *testing.T) {
	hostConf(t, "search lab.test example.test\n")
	g := dhcpGuest(t, "--mtu=1400")
	g.Nameserver(t, "10.0.2.3")
	u := startInGuest(t, g, "busybox", "udhcpc", "-i", "tap0", "-f", "-t", "5", "-T", "1", "-s", leaseScript(t, g), "-O", "mtu", "-O", "search")
	const all = "ip=10.0.2.15 mask=24 router=10.0.2.2 dns=10.0.2.3 serverid=10.0.2.2 lease=86400 mtu=1400 search=lab.test example.test siaddr=10.0.2.2"
	if got := u.want("bound ", 1); got != "bound "+all {
		t.Errorf("%s\nwant %s", got, all)
	}
	if got := curl(t, g, "http://lab.test/"); got != lab.InetPage {
		t.Errorf("page: %q", got)
	}
	u.signal(unix.SIGUSR1)
	if got := u.want("renew ", 1); got != "renew "+all {
		t.Errorf("%s\nwant %s", got, all)
	}
	u.signal(unix.SIGUSR2) // release
	u.want("deconfig ", 2)
	u.signal(unix.SIGUSR1)
	if got := u.want("bound ", 2); got != "bound "+all {
		t.Errorf("%s\nwant %s", got, all)
	}
}

// The client of ISC obtains, renews, comes back after its end, and releases.
func TestDHCPDhclient(t *testing.T) {
	g := dhcpGuest(t)
	leases := guestFile(t, g, "leases", "")
	args := []string{"-4", "-d", "-v", "-lf", leases, "-pf", leases + ".pid",
		"-cf", guestFile(t, g, "conf", "supersede dhcp-renewal-time 2;\n"+
			"request subnet-mask, routers, domain-name-servers, interface-mtu;\n"),
		"-sf", guestFile(t, g, "script", "#!/bin/sh\n"+`
case $reason in
BOUND|REBOOT) ip addr replace "$new_ip_address/24" dev "$interface" ;;
esac
echo "$reason $new_ip_address"
`), "tap0"}
	c := startInGuest(t, g, "dhclient", args...)
	for _, want := range []string{"BOUND 10.0.2.15", "RENEW 10.0.2.15"} {
		kind, _, _ := strings.Cut(want, " ")
		if got := c.want(kind+" ", 1); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	c.want("DHCPREQUEST for 10.0.2.15 on tap0 to 10.0.2.2 port 67", 1)
	c.signal(unix.SIGKILL) // without a word to the server
	c.cmd.Wait()
	c = startInGuest(t, g, "dhclient", args...)
	if got := c.want("REBOOT ", 1); got != "REBOOT 10.0.2.15" {
		t.Errorf("after its end: %s", got)
	}
	c.signal(unix.SIGKILL)
	c.cmd.Wait()
	out := g.Run(t, commandTimeout, "sh", "-c", `exec dhclient -r "$@" 2>&1`, "sh", "-v", "-lf", leases, "-pf", leases+".pid", "tap0")
	if !strings.Contains(out, "DHCPRELEASE of 10.0.2.15 on tap0 to 10.0.2.2") {
		t.Errorf("dhclient -r: %s", out)
	}
	b, err := os.ReadFile(leases)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"dhcp-lease-time 86400;", "routers 10.0.2.2;", "domain-name-servers 10.0.2.3;", "interface-mtu 1500;", "dhcp-server-identifier 10.0.2.2;"} {
		if !strings.Contains(string(b), "option "+want) {
			t.Errorf("the lease has no %q: %s", want, b)
		}
	}
	releasedFirst(t, g)
}

// releasedFirst expects that another client is given the first address.
func releasedFirst(t *testing.T, g *lab.Guest) {
	t.Helper()
	g.Run(t, commandTimeout, "ip", "addr", "flush", "dev", "tap0")
	otherClient(t, g, "02:00:00:00:00:01")
	if got := lease(t, g); !strings.HasPrefix(got, "ip=10.0.2.15 ") {
		t.Errorf("after the release another client has %s", got)
	}
}

// dhcpcd obtains, finds by ARP that nobody else has the address, renews and
// releases. It is to find no user of its own: it cannot become one in a user
// namespace that has one user, and crashes.
func TestDHCPDhcpcd(t *testing.T) {
	g := dhcpGuest(t)
	passwd := guestFile(t, g, "passwd", "root:x:0:0:root:/:/bin/sh\n")
	g.Run(t, commandTimeout, "mount", "--bind", passwd, "/etc/passwd")
	g.Run(t, commandTimeout, "mount", "-t", "tmpfs", "leases", "/var/lib/dhcpcd")
	g.Run(t, commandTimeout, "mount", "-t", "tmpfs", "run", "/run")
	g.Run(t, commandTimeout, "mkdir", "/run/dhcpcd")
	c := startInGuest(t, g, "dhcpcd", "-4", "-B", "-d", "-t", "15", "-c", "/bin/true", "tap0")
	c.want("tap0: acknowledged 10.0.2.15 from 10.0.2.2", 1)
	c.want("tap0: DAD completed for 10.0.2.15", 1)
	c.want("tap0: leased 10.0.2.15 for 86400 seconds", 1)
	c.want("tap0: adding default route via 10.0.2.2", 1)
	if got := curl(t, g, "http://198.51.100.2/"); got != lab.InetPage {
		t.Errorf("page: %q", got)
	}
	c.signal(unix.SIGUSR1)
	c.want("tap0: renewing lease of 10.0.2.15", 1)
	c.want("tap0: acknowledged 10.0.2.15 from 10.0.2.2", 2)
	c.signal(unix.SIGALRM)
	c.want("tap0: releasing lease of 10.0.2.15", 1)
	c.cmd.Wait()
	g.Run(t, commandTimeout, "umount", "/run") // where the next client's script is
	releasedFirst(t, g)
}

// An address that another machine on the guest's bridge has is not given away,
// although that machine has sent nothing before it is asked.
func TestDHCPSilentMachine(t *testing.T) {
	t.Parallel()
	g := dhcpGuest(t)
	otherMachine(t, g)
	u := startInGuest(t, g, "busybox", "udhcpc", "-i", "br0", "-f", "-t", "5", "-T", "1", "-A", "1", "-s", leaseScript(t, g))
	if got, want := u.want("bound ", 1), "bound ip=10.0.2.16 "; !strings.HasPrefix(got, want) {
		t.Errorf("%s, want %s", got, want)
	}
}

// When we do not hear it, as here, where it does not hear us, it is declined, and
// another one taken.
func TestDHCPDecline(t *testing.T) {
	t.Parallel()
	g := dhcpGuest(t)
	otherMachine(t, g)
	g.Run(t, commandTimeout, "ip", "netns", "exec", "other", "nft", `
add table netdev deaf
add chain netdev deaf in { type filter hook ingress device v1 priority 0; }
add rule netdev deaf in ether saddr 52:55:0a:00:02:02 drop`)
	u := startInGuest(t, g, "busybox", "udhcpc", "-i", "br0", "-f", "-t", "5", "-T", "1", "-A", "1", "-a", "-s", leaseScript(t, g))
	if got, want := u.want("bound ", 1), "bound ip=10.0.2.16 "; !strings.HasPrefix(got, want) {
		t.Errorf("%s, want %s", got, want)
	}
	u.want("udhcpc: offered address is in use (got ARP reply), declining", 1)
}

// otherMachine puts one with the first address on a bridge with the guest.
func otherMachine(t *testing.T, g *lab.Guest) {
	t.Helper()
	g.Run(t, commandTimeout, "sh", "-ec", `
mount -t tmpfs netns /run/netns
ip netns add other
ip link add br0 type bridge
ip link add v0 type veth peer name v1 netns other
ip link set tap0 master br0
ip link set v0 master br0
ip link set br0 up
ip link set v0 up
ip -n other addr add 10.0.2.15/24 dev v1
ip -n other link set v1 up`)
}

// Who has an address already is told the rest.
func TestDHCPInform(t *testing.T) {
	t.Parallel()
	g := dhcpGuest(t)
	passwd := guestFile(t, g, "passwd", "root:x:0:0:root:/:/bin/sh\n")
	g.Run(t, commandTimeout, "mount", "--bind", passwd, "/etc/passwd")
	g.Run(t, commandTimeout, "mount", "-t", "tmpfs", "leases", "/var/lib/dhcpcd")
	g.Run(t, commandTimeout, "mount", "-t", "tmpfs", "run", "/run")
	g.Run(t, commandTimeout, "mkdir", "/run/dhcpcd")
	g.Run(t, commandTimeout, "ip", "addr", "add", "10.0.2.50/24", "dev", "tap0")
	c := startInGuest(t, g, "dhcpcd", "-4", "-A", "-B", "-d", "-t", "15", "-c", "/bin/true", "--inform", "tap0")
	c.want("tap0: sending INFORM", 1)
	c.want("tap0: received approval for 10.0.2.50", 1)
}
