package e2e

import (
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// networkdSetup makes the guest a machine for systemd-networkd, without an init
// or udev: it waits for none where /sys cannot be written to. It becomes
// another user, of whom there is but one, and takes orders on a bus of its own.
const networkdSetup = `set -e
mount -t tmpfs -o ro sys /sys
mount -t tmpfs run /run
mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp /run/systemd/network /run/dbus
echo 'root:x:0:0:root:/:/bin/sh
systemd-network:x:0:0::/:/bin/sh' >/run/passwd
echo 'root:x:0:
systemd-network:x:0:' >/run/group
mount --bind /run/passwd /etc/passwd
mount --bind /run/group /etc/group
echo '[Match]
Name=tap0
[Network]
DHCP=ipv4
IPv6AcceptRA=yes
LinkLocalAddressing=ipv6
[DHCPv4]
UseMTU=yes' >/run/systemd/network/10.network
echo '<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/></policy></busconfig>' >/run/bus.conf
`

// systemd-networkd obtains and renews a lease and takes the router's
// advertisement, though no init runs.
func TestDHCPNetworkd(t *testing.T) {
	t.Parallel()
	g := lab.NewGuest(t, lab.GuestOptions{})
	g.Sysctl(t, "net.ipv6.conf.default.accept_ra", "0") // networkd does without the kernel
	configureNothing(t, g, "-6", "--mtu=1400")
	g.Run(t, commandTimeout, "sh", "-c", networkdSetup)
	bus := startInGuest(t, g, "dbus-daemon", "--config-file=/run/bus.conf", "--nofork", "--nopidfile", "--print-address=1")
	bus.want("unix:", 1)
	c := startInGuest(t, g, "env", "SYSTEMD_LOG_LEVEL=debug", "SYSTEMD_LOG_TARGET=console", "/lib/systemd/systemd-networkd")
	c.want("tap0: DHCPv4 address 10.0.2.15/24, gateway 10.0.2.2 acquired from 10.0.2.2", 1)
	if !eventually(func() bool {
		out, _ := guestOutput(t, g, "ip", "route", "show", "default")
		return strings.HasPrefix(out, "default via 10.0.2.2 dev tap0 ")
	}, false) {
		t.Error("no default route")
	}
	if got := curl(t, g, "http://198.51.100.2/"); got != lab.InetPage {
		t.Errorf("page: %q", got)
	}
	leases := g.Run(t, commandTimeout, "sh", "-c", "cat /run/systemd/netif/leases/*")
	for _, want := range []string{"ADDRESS=10.0.2.15", "NETMASK=255.255.255.0", "ROUTER=10.0.2.2", "SERVER_ADDRESS=10.0.2.2", "DNS=10.0.2.3", "MTU=1400", "LIFETIME=86400"} {
		if !strings.Contains(leases, want+"\n") {
			t.Errorf("the lease has no %s:\n%s", want, leases)
		}
	}
	g.Run(t, commandTimeout, "networkctl", "renew", "tap0")
	c.want("tap0: DHCPv4 client: REQUEST (renewing)", 1)
	c.want("tap0: DHCPv4 client: ACK", 2)
	c.want("tap0: NDISC: Received Router Advertisement: flags none preference medium lifetime 1800 sec", 1)
	var out string
	if !eventually(func() bool {
		out, _ = guestOutput(t, g, "curl", "--silent", "--max-time", "2", "-g", "http://["+lab.InetAddr6.String()+"]/")
		return out == lab.InetPage
	}, false) {
		t.Errorf("page by IPv6: %q", out)
	}
}
