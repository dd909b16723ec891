package parent

import (
	"net/netip"

	"github.com/slirp4netns-go/slirp4netns/ipc"
	"github.com/slirp4netns-go/slirp4netns/ipc/tun"
)

// request is what c wants of the child.
func (c *Config) request() *ipc.TapRequest {
	r := &ipc.TapRequest{Version: ipc.Version, Name: c.TapName, Offloads: tun.OffloadAll}
	if c.Configure {
		r.Configuration = c.configuration()
	}
	return r
}

// configuration is --configure: network+100, and everything by way of the
// gateway.
func (c *Config) configuration() *ipc.Configuration {
	address := netip.PrefixFrom(c.Recommended(), c.Network.Bits())
	everywhere := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	return &ipc.Configuration{
		Mtu:       c.MTU,
		Mac:       c.MAC,
		Addresses: []*ipc.Prefix{ipc.NewPrefix(address)},
		Routes:    []*ipc.Route{{Destination: ipc.NewPrefix(everywhere), Gateway: c.Gateway().AsSlice()}},
		Ipv6:      c.EnableIPv6,
	}
}
