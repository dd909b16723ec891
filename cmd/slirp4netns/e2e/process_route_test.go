package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// TestDefaultRouteOfAnother: a namespace that has default routes by another
// interface uses ours, and has its own again at our end.
func TestDefaultRouteOfAnother(t *testing.T) {
	t.Parallel()
	g := lab.NewGuest(t, lab.GuestOptions{})
	shell(t, g, `
		ip link add d0 type veth peer name d1
		ip link set d1 up
		ip link set d0 up
		ip addr add 192.0.2.1/24 dev d0
		ip addr add 2001:db8::1/64 dev d0 nodad
		ip route add default via 192.0.2.2
		ip route add default via 2001:db8::2
	`)
	routes := func() string { return shell(t, g, "ip route show default; ip -6 route show default") }
	before := routes()
	s := g.Slirp(t, "-c", "-6")
	for _, url := range []string{"http://198.51.100.2/", "http://[2001:db8:100::2]/"} {
		if got := curl(t, g, url); got != lab.InetPage {
			t.Errorf("%s: %q", url, got)
		}
	}
	s.Stop()
	await(t, "the routes are as before", func() bool { return routes() == before })
}

// TestOwnNamespace: a wrong PID, of a process without a network namespace of its
// own, must not cost root the machine's default route.
func TestOwnNamespace(t *testing.T) {
	t.Parallel()
	// Threads of ours may be in other namespaces.
	ctx, cancel := context.WithCancel(t.Context())
	other := lab.Command(ctx, 0, "sleep", "600")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); other.Wait() }()
	pid := fmt.Sprint(other.Process.Pid)
	for _, target := range [][]string{{pid}, {"--netns-type=path", "/proc/" + pid + "/ns/net"}} {
		out, status := runToEnd(t, 0, lab.Binary, append(append([]string{"-c"}, target...), "tap9")...)
		if status != 1 || !strings.Contains(out, " is in our own network namespace: ") {
			t.Errorf("status %d, %q", status, out)
		}
	}
	if out, err := lab.Command(t.Context(), 0, "ip", "link", "show", "tap9").CombinedOutput(); err == nil {
		t.Errorf("it was made: %s", out)
	}
}
