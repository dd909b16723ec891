package ipc

import (
	"fmt"
	"net/netip"
)

// NewPrefix is p as a message.
func NewPrefix(p netip.Prefix) *Prefix {
	return &Prefix{Address: p.Addr().AsSlice(), Bits: uint32(p.Bits())}
}

// Netip is p as a value, or an error if it is no prefix.
func (p *Prefix) Netip() (netip.Prefix, error) {
	a, ok := netip.AddrFromSlice(p.GetAddress())
	if !ok || p.GetBits() > uint32(a.BitLen()) {
		return netip.Prefix{}, fmt.Errorf("ipc: address of %d bytes with a prefix of %d bits", len(p.GetAddress()), p.GetBits())
	}
	return netip.PrefixFrom(a, int(p.GetBits())), nil
}

// Netip is r as values: where it leads, and by way of whom.
func (r *Route) Netip() (destination netip.Prefix, gateway netip.Addr, err error) {
	if destination, err = r.GetDestination().Netip(); err != nil {
		return
	}
	gateway, ok := netip.AddrFromSlice(r.GetGateway())
	if !ok || gateway.Is4() != destination.Addr().Is4() {
		err = fmt.Errorf("ipc: route to %v with a gateway of %d bytes", destination, len(r.GetGateway()))
	}
	return
}
