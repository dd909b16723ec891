package dataplane

import (
	"net/netip"

	"github.com/slirp4netns-go/slirp4netns/parent/splice"
)

// Outbound is the source of what leaves the host, for one IP version.
type Outbound struct {
	Addr      netip.Addr // the zero Addr: the kernel chooses
	Interface string     // not empty: follow this interface's address
}

// Addrs are the IPv4 addresses that are ours. The gateway is the first.
func (c *Config) Addrs() []netip.Addr { return []netip.Addr{c.Gateway, c.Nameserver} }

// Config is what the data plane needs to know, and no more: no namespace, no
// process, no path but resolv.conf's.
type Config struct {
	Version string // of the program, for the control socket

	MTU        uint32
	Network    netip.Prefix // the guest's IPv4 network
	Gateway    netip.Addr   // the host as the guest sees it
	Nameserver netip.Addr   // the DNS relay
	EnableIPv6 bool
	// The same for IPv6, if it is enabled. Network6 has 64 bits.
	Network6    netip.Prefix
	Gateway6    netip.Addr
	Nameserver6 netip.Addr
	// FirstLease is the guest that a forward to 0.0.0.0 leads to, and
	// Recommended the one that a forward without an address does.
	FirstLease  netip.Addr
	Recommended netip.Addr

	DisableHostLoopback bool
	DisableDNS          bool
	Outbound4           Outbound
	Outbound6           Outbound

	DNS DNS

	times  *splice.Times // of connections that the guest makes; nil: the default
	maxTCP int           // of them, too; 0: as many as there are descriptors for

	// ResolvConf is the path of resolv.conf(5) that the DNS relay follows.
	ResolvConf string
}
