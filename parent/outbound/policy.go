package outbound

import "net/netip"

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
	Gateway             netip.Addr // the host as the guest sees it
	Nameserver          netip.Addr // the DNS relay
	DisableHostLoopback bool
	DisableDNS          bool
}

var (
	loopback4  = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	broadcast4 = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	thisNet4   = netip.PrefixFrom(netip.AddrFrom4([4]byte{}), 8)
)

// Route resolves the destination of a guest's packet to the host's address
// for it. host is set for Allow only.
func (p *Policy) Route(dst netip.AddrPort) (host netip.AddrPort, v Verdict) {
	a := dst.Addr()
	switch {
	case a == p.Nameserver && !p.DisableDNS:
		if dst.Port() == DNSPort {
			return netip.AddrPort{}, Relay
		}
		return netip.AddrPort{}, Unreachable
	case a == p.Gateway, a == broadcast4:
		a = loopback4
	case IsHostLoopback(a):
		// No route leads a guest's packet there; only a crafted frame
		// does (RFC 1122, section 3.2.1.3). The gateway is the way in.
		return netip.AddrPort{}, Unreachable
	}
	if p.DisableHostLoopback && IsHostLoopback(a) {
		return netip.AddrPort{}, Unreachable
	}
	return netip.AddrPortFrom(a, dst.Port()), Allow
}

// Local tells whether a is one of the addresses that this program answers for.
func (p *Policy) Local(a netip.Addr) bool {
	return a == p.Gateway || a == p.Nameserver
}

// near tells whether a packet to a needs no hop after the guest's.
func (p *Policy) near(a netip.Addr) bool {
	return p.Local(a) || a == broadcast4 || a.IsMulticast()
}

// GuestView is how the guest sees the host's address a: what is on the host's
// loopback is the gateway to it.
func (p *Policy) GuestView(a netip.Addr) netip.Addr {
	if IsHostLoopback(a) {
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
