package parent

import (
	"fmt"
	"net/netip"

	"github.com/slirp4netns-go/slirp4netns/parent/dataplane"
)

// Gateway6 is the IPv6 address under which the guest sees the host.
func (c *Config) Gateway6() netip.Addr { return addr6At(c.Network6, gatewayOffset) }

// Nameserver6 is the IPv6 address of the built-in DNS relay.
func (c *Config) Nameserver6() netip.Addr { return addr6At(c.Network6, nameserverOffset) }

// Recommended6 is the guest's IPv6 address with --configure: an interface
// identifier that is the same each time.
func (c *Config) Recommended6() netip.Addr { return addr6At(c.Network6, recommended6Offset) }

// recommended6Offset reads as network::100.
const recommended6Offset = 0x100

// hasIPv6 tells whether the guest gets IPv6: the kernel has none on an
// interface with a smaller MTU (RFC 8200, section 5).
func (c *Config) hasIPv6() bool { return c.EnableIPv6 && c.MTU >= dataplane.MinMTU6 }

// warnIPv6 says so when that is not what the user asked for.
func (c *Config) warnIPv6() {
	if c.EnableIPv6 && !c.hasIPv6() {
		warn(fmt.Errorf("continuing without IPv6, which needs an MTU of at least %d bytes, not %d", dataplane.MinMTU6, c.MTU))
	}
}

// addr6At is the IPv6 address at offset n of network p; the zero Addr without
// a network.
func addr6At(p netip.Prefix, n uint16) netip.Addr {
	if !p.IsValid() {
		return netip.Addr{}
	}
	a := p.Masked().Addr().As16()
	a[14], a[15] = byte(n>>8), byte(n)
	return netip.AddrFrom16(a)
}
