package main

import (
	"net"
	"net/netip"

	"github.com/slirp4netns-go/slirp4netns/parent"
)

// resolveOutbound reads the argument of --outbound-addr or --outbound-addr6:
// an address of the wanted family, or an interface, which stands for its
// first such address.
//
// slirp4netns: for --outbound-addr6 the C program looks up the interface that
// --outbound-addr names; ours looks up the one that was asked for.
func resolveOutbound(s string, wanted func(netip.Addr) bool) (parent.Outbound, bool) {
	// inet_pton(3), which upstream uses, knows no zones.
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" && wanted(addr) {
		return parent.Outbound{Addr: addr}, true
	}
	for _, addr := range interfaceAddrs(s) {
		if wanted(addr) {
			return parent.Outbound{Addr: addr, Interface: s}, true
		}
	}
	return parent.Outbound{}, false
}

func isIPv4(a netip.Addr) bool { return a.Is4() }
func isIPv6(a netip.Addr) bool { return a.Is6() }

// interfaceAddrs are the addresses of an interface in the kernel's order,
// none if there is no such interface. A link-local one has its zone.
func interfaceAddrs(name string) []netip.Addr {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil
	}
	list, err := ifi.Addrs()
	if err != nil {
		return nil
	}
	var addrs []netip.Addr
	for _, a := range list {
		prefix, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		addr, ok := netip.AddrFromSlice(prefix.IP)
		if !ok {
			continue
		}
		// The net package writes IPv4 addresses as v4-mapped ones.
		addr = addr.Unmap()
		if addr.Is6() && addr.IsLinkLocalUnicast() {
			addr = addr.WithZone(name)
		}
		addrs = append(addrs, addr)
	}
	return addrs
}
