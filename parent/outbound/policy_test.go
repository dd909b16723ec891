package outbound

import (
	"net/netip"
	"testing"
)

func TestPolicyRoute(t *testing.T) {
	const none = ""
	open := Policy{Gateway: netip.MustParseAddr("10.0.2.2"), Nameserver: netip.MustParseAddr("10.0.2.3")}
	shut, noDNS := open, open
	shut.DisableHostLoopback = true
	noDNS.DisableDNS = true
	for _, c := range []struct {
		name string
		p    *Policy
		dst  string
		host string
		v    Verdict
	}{
		{"gateway is loopback", &open, "10.0.2.2:80", "127.0.0.1:80", Allow},
		{"broadcast is loopback", &open, "255.255.255.255:9", "127.0.0.1:9", Allow},
		{"nameserver", &open, "10.0.2.3:53", none, Relay},
		{"nameserver, other port", &open, "10.0.2.3:54", none, Unreachable},
		{"without DNS it is a stranger", &noDNS, "10.0.2.3:53", "10.0.2.3:53", Allow},
		{"the world", &open, "198.51.100.2:443", "198.51.100.2:443", Allow},
		{"a neighbour's address", &open, "10.0.2.4:80", "10.0.2.4:80", Allow},
		{"link-local (IMDS)", &open, "169.254.169.254:80", "169.254.169.254:80", Allow},
		{"crafted loopback", &open, "127.0.0.1:80", none, Unreachable},
		{"crafted 0.0.0.0", &open, "0.0.0.0:80", none, Unreachable},

		{"shut: gateway", &shut, "10.0.2.2:80", none, Unreachable},
		{"shut: broadcast", &shut, "255.255.255.255:80", none, Unreachable},
		{"shut: loopback", &shut, "127.0.0.1:80", none, Unreachable},
		{"shut: all of 127/8", &shut, "127.255.0.1:80", none, Unreachable},
		{"shut: 0.0.0.0", &shut, "0.0.0.0:80", none, Unreachable},
		{"shut: 0/8", &shut, "0.1.2.3:80", none, Unreachable},
		{"shut: ::", &shut, "[::]:80", none, Unreachable},
		{"shut: ::1", &shut, "[::1]:80", none, Unreachable},
		{"shut: v4-mapped", &shut, "[::ffff:127.0.0.1]:80", none, Unreachable},
		{"shut: DNS stays", &shut, "10.0.2.3:53", none, Relay},
		{"shut: the world stays", &shut, "198.51.100.2:443", "198.51.100.2:443", Allow},
	} {
		t.Run(c.name, func(t *testing.T) {
			host, v := c.p.Route(netip.MustParseAddrPort(c.dst))
			got := none
			if host.IsValid() {
				got = host.String()
			}
			if got != c.host || v != c.v {
				t.Errorf("Route(%s) = %q, %d; want %q, %d", c.dst, got, v, c.host, c.v)
			}
		})
	}
}
