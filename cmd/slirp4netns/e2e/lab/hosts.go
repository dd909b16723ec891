package lab

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"
)

// SecondHost is a host beside the lab's own, a network namespace with an
// interface and nothing else.
type SecondHost struct {
	Namespace
	Addr netip.Addr
	name string
}

// pairs counts the pairs of hosts, as their namespaces have names.
var pairs atomic.Int32

// HostPair makes two hosts that are connected to each other, and to nobody
// else: 192.0.2.11 and 192.0.2.12 (RFC 5737 TEST-NET-1). They end with the test.
func HostPair(t T) (a, b *SecondHost) {
	t.Helper()
	pair := pairs.Add(1)
	host := func(side string, last byte) *SecondHost {
		name := fmt.Sprintf("host%s%d", side, pair)
		n, err := newNamespace(netnsDir + "/" + name)
		if err != nil {
			t.Fatalf("make the host %s: %v", name, err)
		}
		t.Cleanup(func() { ipCommand(t, "netns del "+name) })
		return &SecondHost{*n, netip.AddrFrom4([4]byte{192, 0, 2, last}), name}
	}
	a, b = host("a", 11), host("b", 12)
	ipCommand(t, fmt.Sprintf("-n %s link add eth0 type veth peer name eth0 netns %s", a.name, b.name))
	for _, h := range []*SecondHost{a, b} {
		ipCommand(t, fmt.Sprintf("-n %s addr add %v/24 dev eth0", h.name, h.Addr))
		ipCommand(t, fmt.Sprintf("-n %s link set eth0 up", h.name))
		ipCommand(t, fmt.Sprintf("-n %s link set lo up", h.name))
	}
	return a, b
}

// ipCommand runs ip(8) on the host.
func ipCommand(t T, args string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if out, err := Command(ctx, 0, "ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}
