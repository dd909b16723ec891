package parent

import "net/netip"

// DNS is what the command line says of the nameserver. The zero value follows
// resolv.conf(5).
type DNS struct {
	// Servers are those of --dns; none: resolv.conf's.
	Servers []netip.AddrPort
	// NoLoopback is --dns-loopback=off.
	NoLoopback bool
	// HostNames are those of --host-name.
	HostNames []string
}
