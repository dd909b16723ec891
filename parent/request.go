package parent

import (
	"net/netip"

	"github.com/slirp4netns-go/slirp4netns/ipc"
	"github.com/slirp4netns-go/slirp4netns/ipc/tun"
)

// request is what the child is asked for.
//
// Whoever gave us an exit-fd, or the signal that we get when he dies, ends us
// himself. For everybody else we look at the end of the guest's namespace,
// which makes the start 15 ms slower: the kernel waits for a grace period of
// RCU when it moves the TAP.
func (p *process) request() *ipc.TapRequest {
	c := p.cfg
	r := &ipc.TapRequest{
		Version:         ipc.Version,
		Name:            c.TapName,
		Offloads:        tun.OffloadAll,
		FollowNamespace: c.ExitFD < 0 && !p.death.isSet(),
	}
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
