package dns

import (
	"net/netip"
	"strings"
)

// Port is the port of DNS, UDP and TCP (RFC 1035).
const Port = 53

// resolvConf is what a resolv.conf(5) says.
type resolvConf struct {
	servers []netip.AddrPort
	search  []string
	none    bool // it names no server: servers are the loopback addresses
}

// parse reads the nameserver, search and domain lines. Lines that are not
// understood are passed over, as resolv.conf(5) has it. Of several search and
// domain lines the last one counts.
func parse(b []byte) resolvConf {
	var c resolvConf
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "nameserver":
			if a, err := netip.ParseAddr(f[1]); err == nil {
				c.servers = append(c.servers, netip.AddrPortFrom(a.Unmap(), Port))
			}
		case "search":
			c.search = f[1:]
		case "domain":
			c.search = f[1:2]
		}
	}
	if c.servers == nil {
		c.none = true
		c.servers = loopback()
	}
	return c
}

// loopback is where the C library looks when nothing is configured.
func loopback() []netip.AddrPort {
	return []netip.AddrPort{
		netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), Port),
		netip.AddrPortFrom(netip.IPv6Loopback(), Port),
	}
}
