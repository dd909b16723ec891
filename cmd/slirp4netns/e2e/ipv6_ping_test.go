package e2e

import (
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// Without permission for ping sockets the guest is told so, and nothing leaves.
// Root's raw sockets do the same as those, from an --outbound-addr6 too.
func TestIPv6PingPermission(t *testing.T) {
	lab.Host.Sysctl(t, "net.ipv4.ping_group_range", "1 0") // of IPv6 as well
	lab.Beyond(t, narrow)
	lab.Host.Sysctl(t, "net.ipv6.icmp.ratelimit", "0")
	inet, beyond := lab.InetAddr6.String(), lab.BeyondAddr6.String()
	const filtered = gateway6 + ": Destination unreachable: Administratively prohibited"
	pings := func(t *testing.T, g *lab.Guest, rows map[string]string) {
		t.Helper()
		for args, want := range rows {
			if got := pingSays(t, g, append([]string{"-6", "-W", "1"}, strings.Fields(args)...)...); got != want {
				t.Errorf("ping %s: the guest sees %q, want %q", args, got, want)
			}
		}
	}
	t.Run("not permitted", func(t *testing.T) {
		wire := sniff(t, lab.Inet, lab.InetLink, nil)
		g, _ := guestOf(t, "", lab.OrdinaryUID, "-6")
		pings(t, g, map[string]string{inet: filtered, gateway6: "reply ttl=255"})
		if n := len(wire.pings6()); n != 0 {
			t.Errorf("%d pings have left", n)
		}
	})
	const other = "2001:db8:100::9"
	hostAddress6(t, other+"/64", lab.HostLink)
	for _, args := range [][]string{nil, {"--outbound-addr6=" + other}} {
		t.Run("raw "+strings.Join(args, " "), func(t *testing.T) {
			g, _ := guestOf(t, "", 0, append([]string{"-6"}, args...)...)
			if lab.Locked() {
				// CAP_NET_RAW is given up: the guest is told that it may not.
				pings(t, g, map[string]string{inet: filtered})
				return
			}
			wire := sniff(t, lab.Inet, lab.InetLink, nil)
			pings(t, g, map[string]string{
				inet:              "reply ttl=63",
				beyond:            "reply ttl=62",
				"-s 9000 " + inet: "reply ttl=63",
				"-t 2 " + beyond:  inet + ": Time exceeded: Hop limit",
			})
			if args == nil { // after that the host knows the MTU
				pings(t, g, map[string]string{"-M do -s 1400 " + beyond: inet + ": Packet too big: mtu=1300"})
				return
			}
			for _, from := range wire.pings6() {
				if from.String() != other {
					t.Errorf("a ping came from %v, want %s", from, other)
				}
			}
		})
	}
}
