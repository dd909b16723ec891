package dataplane

import "testing"

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		nofile uint64
		want   limits
	}{
		{0, limits{1, 1, 1, 1}},
		{64, limits{4, 2, 1, 9}},
		{256, limits{52, 26, 13, 117}},
		{1024, limits{244, 122, 61, 549}},
		{20_000, limits{4988, mostDNS, mostPing, 13428}},
		{1 << 20, limits{mostUDP, mostDNS, mostPing, mostTCP}},
		{^uint64(0), limits{mostUDP, mostDNS, mostPing, mostTCP}}, // RLIM_INFINITY
	} {
		got := limitsOf(c.nofile)
		if got != c.want {
			t.Errorf("%d descriptors: %+v, want %+v", c.nofile, got, c.want)
		}
		if c.nofile <= reserved {
			continue
		}
		n := c.nofile - reserved
		if sum := uint64(got.udp + got.dns + got.ping + got.tcp); sum > n {
			t.Errorf("%d descriptors: %d are given away", c.nofile, sum)
		}
		if tcp := uint64(got.tcp); tcp < min(n/2, mostTCP) {
			t.Errorf("%d descriptors: only %d are left for TCP", c.nofile, tcp)
		}
	}
}

func TestForwarding(t *testing.T) {
	for _, c := range []struct {
		nofile       uint64
		ports, conns int
		clients      int
	}{
		{0, 1, 1, 1},
		{1048, 500, 250, 125},
		{1 << 20, mostPorts, mostForwarded, mostClients},
		{^uint64(0), mostPorts, mostForwarded, mostClients},
	} {
		if ports, conns := forwarding(c.nofile); ports != c.ports || conns != c.conns {
			t.Errorf("%d descriptors: %d ports and %d connections, want %d and %d", c.nofile, ports, conns, c.ports, c.conns)
		}
		if n := clients(c.nofile); n != c.clients {
			t.Errorf("%d descriptors: %d clients, want %d", c.nofile, n, c.clients)
		}
	}
}
