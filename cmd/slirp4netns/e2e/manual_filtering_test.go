package e2e

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// filters are two programs' ways to say what the manual says: nothing but DNS
// over UDP may reach the nameserver.
var filters = map[string]string{
	"iptables": `
		iptables -A OUTPUT -d 10.0.2.3 -p udp --dport 53 -j ACCEPT
		iptables -A OUTPUT -d 10.0.2.3 -j DROP
	`,
	"nft": `
		nft add table ip filter
		nft add chain ip filter output '{ type filter hook output priority filter; }'
		nft add rule ip filter output ip daddr 10.0.2.3 udp dport 53 accept
		nft add rule ip filter output ip daddr 10.0.2.3 drop
	`,
}

// TestManualFilteringConnections is a guest that limits itself.
func TestManualFilteringConnections(t *testing.T) {
	t.Parallel()
	for name, commands := range filters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := lab.NewGuest(t, lab.GuestOptions{})
			g.Slirp(t, "--configure")
			// What reaches the nameserver, and what the rest of the world.
			reached := func() string {
				var all []string
				for what, args := range map[string][]string{
					"UDP":  {"dig", "+short", "+time=1", "+tries=1", "@10.0.2.3", lab.Domain},
					"TCP":  {"dig", "+short", "+time=1", "+tries=1", "+tcp", "@10.0.2.3", lab.Domain},
					"ping": {"ping", "-c1", "-W1", "10.0.2.3"},
					"HTTP": {"curl", "--silent", "--max-time", "5", "http://198.51.100.2/"},
				} {
					if _, status := guestOutput(t, g, args[0], args[1:]...); status == 0 {
						all = append(all, what)
					}
				}
				slices.Sort(all)
				return strings.Join(all, " ")
			}
			if got, want := reached(), "HTTP TCP UDP ping"; got != want {
				t.Errorf("before: %s, want %s", got, want)
			}
			// As printed: nsenter without the mount namespace.
			enter := lab.Command(t.Context(), g.UID, "nsenter", "-t", strconv.Itoa(g.PID), "-U", "--preserve-credentials", "-n", "sh", "-ec", commands)
			if out, err := enter.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if got, want := reached(), "HTTP UDP"; got != want {
				t.Errorf("after: %s, want %s", got, want)
			}
		})
	}
}

// TestManualFilteringConnectionsLoopback is --disable-host-loopback.
func TestManualFilteringConnectionsLoopback(t *testing.T) {
	t.Parallel()
	for options, want := range map[string]int{"--configure": 0, "--configure --disable-host-loopback": 7} {
		g := lab.NewGuest(t, lab.GuestOptions{})
		g.Slirp(t, strings.Fields(options)...)
		if out, status := guestOutput(t, g, "curl", "--silent", "--max-time", "5", "http://10.0.2.2:8000/"); status != want {
			t.Errorf("%s: status %d, want %d: %s", options, status, want, out)
		}
	}
}
