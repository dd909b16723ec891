package outbound

import (
	"net/netip"
	"slices"
)

// DNSPort is the port of the nameserver, UDP and TCP (RFC 1035).
const DNSPort = 53

// Verdict is what happens to a packet of the guest.
type Verdict int

const (
	// Allow: the packet goes to Route.Host.
	Allow Verdict = iota
	// Relay: the packet is a DNS query for the relay.
	Relay
	// Unreachable: the guest is told that there is no way to the network.
	Unreachable
)

// Policy says where the guest's packets may go.
type Policy struct {
	Gateway    netip.Addr // the host as the guest sees it
	Nameserver netip.Addr // the DNS relay

	// The same for IPv6; the zero values without.
	Gateway6    netip.Addr
	Nameserver6 netip.Addr
	Network6    netip.Prefix // the guest's network
	LinkLocal6  []netip.Addr // the router's addresses

	DisableHostLoopback bool
	DisableDNS          bool

	// Drops counts what is refused; nil: nobody does.
	Drops *Drops
}

var (
	loopback4  = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	loopback6  = netip.IPv6Loopback()
	broadcast4 = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	thisNet4   = netip.PrefixFrom(netip.AddrFrom4([4]byte{}), 8)
)

// Route resolves the destination of a guest's packet to the host's address
// for it. host is set for Allow only. It is asked once for each packet, and
// counts those that are Unreachable.
func (p *Policy) Route(dst netip.AddrPort) (host netip.AddrPort, v Verdict) {
	host, v, why := p.route(dst)
	if v == Unreachable {
		p.Drops.Add(why)
	}
	return host, v
}

// route is Route without counting. why is for Unreachable.
func (p *Policy) route(dst netip.AddrPort) (host netip.AddrPort, v Verdict, why Drop) {
	a := dst.Addr()
	switch {
	case (a == p.Nameserver || a == p.Nameserver6) && !p.DisableDNS:
		if dst.Port() == DNSPort {
			return netip.AddrPort{}, Relay, 0
		}
		return netip.AddrPort{}, Unreachable, DropNotDNS
	case a == p.Nameserver6:
		// That of IPv4 is a stranger's address then, as for the C program.
		return netip.AddrPort{}, Unreachable, DropDNS
	case a == p.Gateway, a == broadcast4:
		a = loopback4
	case a == p.Gateway6:
		a = loopback6
	case a.Is6() && p.onLink6(a):
		return netip.AddrPort{}, Unreachable, DropDestination
	case IsHostLoopback(a):
		// No route leads a guest's packet there; only a crafted frame
		// does (RFC 1122, section 3.2.1.3). The gateway is the way in.
		return netip.AddrPort{}, Unreachable, DropDestination
	}
	if p.DisableHostLoopback && IsHostLoopback(a) {
		return netip.AddrPort{}, Unreachable, DropHostLoopback
	}
	return netip.AddrPortFrom(a, dst.Port()), Allow, 0
}

// Local tells whether a is one of the addresses that this program answers for.
func (p *Policy) Local(a netip.Addr) bool {
	return a == p.Gateway || a == p.Nameserver ||
		a == p.Gateway6 || a == p.Nameserver6 || slices.Contains(p.LinkLocal6, a)
}

// onLink6 tells whether an IPv6 address is one that no router forwards packets
// to: a neighbour of the guest's, or none that packets may have (RFC 4291,
// sections 2.5.5.2 and 2.7).
func (p *Policy) onLink6(a netip.Addr) bool {
	return p.Network6.Contains(a) || a.IsLinkLocalUnicast() || a.Is4In6() ||
		a.IsInterfaceLocalMulticast() || a.IsLinkLocalMulticast()
}

// near tells whether a packet to a needs no hop after the guest's.
func (p *Policy) near(a netip.Addr) bool {
	return p.Local(a) || a == broadcast4 || a.IsMulticast()
}

// GuestView is how the guest sees the host's address a: what is on the host's
// loopback, or on its link only, is the gateway to it.
func (p *Policy) GuestView(a netip.Addr) netip.Addr {
	switch {
	case a.Is6() && (IsHostLoopback(a) || a.IsLinkLocalUnicast()):
		return p.Gateway6
	case IsHostLoopback(a):
		return p.Gateway
	}
	return a
}

// IsHostLoopback tells whether a socket of the host that is sent to a ends up
// on the host's loopback interface. Linux takes 0.0.0.0 and :: for loopback.
func IsHostLoopback(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLoopback() || a.IsUnspecified() || thisNet4.Contains(a)
}
