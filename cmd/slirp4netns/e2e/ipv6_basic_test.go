package e2e

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// Addresses of the default network of -6.
const (
	gateway6    = "fd00::2"
	nameserver6 = "fd00::3"
	router6     = "fe80::2"
	guest6      = "fd00::100"
)

// configured6 is a guest with IPv6 that slirp4netns configured.
func configured6(t *testing.T, args ...string) (*lab.Guest, *lab.Slirp) {
	t.Helper()
	g := lab.NewGuest(t, lab.GuestOptions{})
	s := g.Slirp(t, append([]string{"-c", "-6"}, args...)...)
	return g, s
}

func TestIPv6Pages(t *testing.T) {
	g, s := configured6(t)
	for url, want := range map[string]string{
		"http://[" + gateway6 + "]:8000/":             lab.HostPage,
		"http://[" + lab.InetAddr6.String() + "]:80/": lab.InetPage,
	} {
		if got := g.Run(t, commandTimeout, "curl", "-sSg6", url); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
	if log := s.Log(); !strings.Contains(log, "WARNING: Support for IPv6 is experimental\n") ||
		strings.Contains(log, "implemented") || strings.Contains(log, "no IPv6") {
		t.Errorf("it said:\n%s", log)
	}
}

// What -c configures: one address, no second one from router advertisements,
// and one route.
func TestIPv6Configuration(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "fd00::100/64"},
		{[]string{"--cidr6=fd5b:1:2:3::/64"}, "fd5b:1:2:3::100/64"},
	} {
		g, _ := configured6(t, c.args...)
		g.Run(t, commandTimeout, "ping", "-6", "-c2", "-i0.2", netip.MustParsePrefix(c.want).Masked().Addr().Next().Next().String())
		out := g.Run(t, commandTimeout, "ip", "-6", "-o", "addr", "show", "dev", "tap0", "scope", "global")
		if strings.Count(out, "\n") != 1 || !strings.Contains(out, " "+c.want+" ") || strings.Contains(out, "tentative") {
			t.Errorf("%v: addresses:\n%s", c.args, out)
		}
		out = g.Run(t, commandTimeout, "ip", "-6", "-o", "route", "show", "default")
		if strings.Count(out, "\n") != 1 || !strings.HasPrefix(out, "default via fe80::2 dev tap0 ") {
			t.Errorf("%v: default routes:\n%s", c.args, out)
		}
	}
}
