package parent

import (
	"net/netip"

	"github.com/slirp4netns-go/slirp4netns/ipc"
	"github.com/slirp4netns-go/slirp4netns/ipc/tun"
	"github.com/slirp4netns-go/slirp4netns/parent/dataplane"
)

// request is what c wants of the child.
func (c *Config) request() *ipc.TapRequest {
	r := &ipc.TapRequest{
		Version: ipc.Version, Name: c.TapName, Offloads: tun.OffloadAll, KeepNamespace: c.exitFDDecides(),
	}
	if c.Configure {
		r.Configuration = c.configuration()
	}
	return r
}

// exitFDDecides tells whether the caller says when we end. Nobody needs to see
// the namespace's end then, which takes a grace period of the kernel's to
// prepare: ARCHITECTURE.md, "The namespace's end".
func (c *Config) exitFDDecides() bool { return c.ExitFD >= 0 }

// configuration is --configure: network+100, and everything by way of the
// gateway; for IPv6 by way of the router's link-local address.
func (c *Config) configuration() *ipc.Configuration {
	r := &ipc.Configuration{Mtu: c.MTU, Mac: c.MAC, Ipv6: c.hasIPv6()}
	add := func(address netip.Addr, bits int, everywhere, gateway netip.Addr) {
		r.Addresses = append(r.Addresses, ipc.NewPrefix(netip.PrefixFrom(address, bits)))
		r.Routes = append(r.Routes, &ipc.Route{
			Destination: ipc.NewPrefix(netip.PrefixFrom(everywhere, 0)), Gateway: gateway.AsSlice(),
		})
	}
	add(c.Recommended(), c.Network.Bits(), netip.IPv4Unspecified(), c.Gateway())
	if r.Ipv6 {
		add(c.Recommended6(), c.Network6.Bits(), netip.IPv6Unspecified(), dataplane.Router6)
	}
	return r
}
