package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// What a client asks for it is given, if nobody else has it.
func TestDHCPRequested(t *testing.T) {
	g := dhcpGuest(t, "--cidr=10.7.0.0/16", "--disable-host-loopback")
	for _, c := range []struct{ ask, want string }{
		{"10.7.0.20", "ip=10.7.0.20 mask=16 router=10.7.0.2 dns=10.7.0.3"},
		{"10.7.200.200", "ip=10.7.200.200 mask=16"},
		{"10.7.0.100", "ip=10.7.200.200"}, // the one of --configure
		{"192.168.1.1", "ip=10.7.200.200"},
	} {
		if got := lease(t, g, "-r", c.ask); !strings.HasPrefix(got, c.want) {
			t.Errorf("asked for %s: %s\nwant %s", c.ask, got, c.want)
		}
	}
}

// More than the C program's sixteen clients, each with an address of its own.
func TestDHCPManyClients(t *testing.T) {
	g := dhcpGuest(t)
	var got []string
	for i := range 20 {
		otherClient(t, g, fmt.Sprintf("02:00:00:00:00:%02x", i))
		addr, _, _ := strings.Cut(lease(t, g), " ")
		if slices.Contains(got, addr) {
			t.Errorf("client %d has %q, and others %v", i, addr, got)
		}
		got = append(got, addr)
	}
	if got[0] != "ip=10.0.2.15" || got[19] != "ip=10.0.2.34" {
		t.Errorf("addresses %v, want .15 to .34", got)
	}
}

// With --disable-dns clients are not told of a nameserver, nor of domains.
func TestDHCPDisableDNS(t *testing.T) {
	hostConf(t, "search lab.test\n")
	g := dhcpGuest(t, "--disable-dns")
	const want = "ip=10.0.2.15 mask=24 router=10.0.2.2 dns= serverid=10.0.2.2 lease=86400 mtu= search= "
	if got := lease(t, g, "-O", "search"); !strings.HasPrefix(got, want) {
		t.Errorf("%s\nwant %s", got, want)
	}
}
