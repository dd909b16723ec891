package main

import (
	"net/netip"
)

// defaultCIDR6 is the guest's IPv6 network without --cidr6.
const defaultCIDR6 = "fd00::/64"

// network6 sets the guest's IPv6 network.
func (c *commandLine) network6() (netip.Prefix, error) {
	if c.CIDR6 == nil {
		return parseCIDR6(defaultCIDR6)
	}
	if !c.EnableIPv6 {
		return netip.Prefix{}, usageFailure("--cidr6 cannot be specified when --enable-ipv6 or -6 is not specified")
	}
	return parseCIDR6(*c.CIDR6)
}

// parseCIDR6 reads the argument of --cidr6: an IPv6 network of 64 bits, since
// the guest may configure its addresses itself (RFC 4862), of unicast
// addresses that packets may have beyond a link.
func parseCIDR6(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil || !p.Addr().Is6() || p.Bits() != 64 {
		return netip.Prefix{}, plainFailure("invalid --cidr6: " + s + " (want an IPv6 network of 64 bits, for example " + defaultCIDR6 + ")\n")
	}
	if p.Masked() != p {
		return netip.Prefix{}, plainFailure("--cidr6 needs to be a network address like " + p.Masked().String() + ", not like " + s + "\n")
	}
	if a := p.Addr(); a.Is4In6() || !a.IsGlobalUnicast() {
		return netip.Prefix{}, plainFailure("invalid --cidr6: " + s + " (want a network of unicast addresses that are not link-local)\n")
	}
	return p, nil
}
