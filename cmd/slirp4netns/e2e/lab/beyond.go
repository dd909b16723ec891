package lab

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"
)

// Addresses of the network behind inet (RFC 5737 TEST-NET-3, RFC 3849). See
// [Beyond].
var (
	BeyondRouter4 = netip.MustParseAddr("203.0.113.1") // inet's
	BeyondAddr4   = netip.MustParseAddr("203.0.113.2")
	BeyondRouter6 = netip.MustParseAddr("2001:db8:300::1") // inet's
	BeyondAddr6   = netip.MustParseAddr("2001:db8:300::2")
)

// Beyond makes a network behind inet, which is a router while the test runs:
//
//	host 198.51.100.1    ── 198.51.100.2    inet 203.0.113.1     ── 203.0.113.2
//	     2001:db8:100::1    2001:db8:100::2      2001:db8:300::1    2001:db8:300::2
//
// mtu is that of the second link, in bytes; IPv6 needs 1280. The servers of
// inet are there as well, but for DNS. Neither of the two has a route to
// anywhere else: what inet cannot forward it answers with ICMP errors, whose
// rate is not limited.
func Beyond(t T, mtu int) *Namespace {
	t.Helper()
	// What the host has learned of the path's MTU in another test.
	if err := sysctl("net.ipv4.route.flush", "1"); err != nil {
		t.Fatalf("%v", err)
	}
	n, err := newNamespace(netnsDir + "/beyond")
	if err != nil {
		t.Fatalf("make the network beyond: %v", err)
	}
	ip := func(args ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if out, err := Command(ctx, 0, "ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	t.Cleanup(func() { ip("netns", "del", "beyond") })
	ip("-6", "route", "flush", "cache")
	size := fmt.Sprint(mtu)
	ip("-n", "inet", "link", "add", "inet2", "mtu", size, "type", "veth", "peer", "name", "beyond0", "netns", "beyond", "mtu", size)
	t.Cleanup(func() { ip("-n", "inet", "link", "del", "inet2") })
	// Nobody has their link-local addresses, which neighbours are found from.
	for name, ns := range map[string]*Namespace{"inet2": Inet, "beyond0": n} {
		if err := ns.Do(func() error { return sysctl("net.ipv6.conf."+name+".accept_dad", "0") }); err != nil {
			t.Fatalf("%v", err)
		}
	}
	ip("-n", "inet", "addr", "add", BeyondRouter4.String()+"/24", "dev", "inet2")
	ip("-n", "inet", "addr", "add", BeyondRouter6.String()+"/64", "dev", "inet2", "nodad")
	ip("-n", "inet", "link", "set", "inet2", "up")
	ip("-n", "beyond", "addr", "add", BeyondAddr4.String()+"/24", "dev", "beyond0")
	ip("-n", "beyond", "addr", "add", BeyondAddr6.String()+"/64", "dev", "beyond0", "nodad")
	ip("-n", "beyond", "link", "set", "lo", "up")
	ip("-n", "beyond", "link", "set", "beyond0", "up")
	ip("-n", "beyond", "route", "add", "default", "via", BeyondRouter4.String())
	ip("-n", "beyond", "-6", "route", "add", "default", "via", BeyondRouter6.String())
	Inet.Sysctl(t, "net.ipv6.conf.all.forwarding", "1")
	Inet.Sysctl(t, "net.ipv6.icmp.ratelimit", "0")
	n.Sysctl(t, "net.ipv6.icmp.ratelimit", "0")
	Inet.Sysctl(t, "net.ipv4.ip_forward", "1")
	Inet.Sysctl(t, "net.ipv4.icmp_ratemask", "0")
	n.Sysctl(t, "net.ipv4.icmp_ratemask", "0")
	if err := n.Do(func() error {
		if err := awaitLink("beyond0", BeyondAddr6); err != nil {
			return err
		}
		return serve(InetPage, HTTPPort, BeyondAddr4, BeyondAddr6)
	}); err != nil {
		t.Fatalf("servers beyond: %v", err)
	}
	if err := Inet.Do(func() error { return awaitLink("inet2", BeyondRouter6) }); err != nil {
		t.Fatalf("inet: %v", err)
	}
	return n
}

// Host is the lab's own network namespace.
var Host = &Namespace{path: "/proc/thread-self/ns/net"}

// Sysctl sets a kernel parameter of the namespace until the test ends.
func (n *Namespace) Sysctl(t T, name, value string) {
	t.Helper()
	var old []byte
	path := "/proc/sys/" + strings.ReplaceAll(name, ".", "/")
	err := n.Do(func() (err error) {
		if old, err = os.ReadFile(path); err != nil {
			return err
		}
		return sysctl(name, value)
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if err := n.Do(func() error { return sysctl(name, string(old)) }); err != nil {
			t.Errorf("restore: %v", err)
		}
	})
}
