package dataplane

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/dhcp"
	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

// tosDHCP is the type of service of replies, the C program's: low delay.
const tosDHCP = 0x10

var broadcast4 = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// leases is the DHCP server on the guest's link.
type leases struct {
	gateway netip.Addr
	server  *dhcp.Server
	sender  *datagram.Sender
}

// newLeases makes it. The search domains are those of the nameserver.
func (p *Plane) newLeases(cfg Config, sender *datagram.Sender) {
	c := dhcp.Config{
		Network: cfg.Network, Gateway: cfg.Gateway, First: cfg.FirstLease,
		Reserved:   []netip.Addr{cfg.Nameserver, cfg.Recommended},
		MTU:        cfg.MTU,
		Neighbours: p.link,
	}
	if !cfg.DisableDNS {
		c.Nameserver, c.Search = cfg.Nameserver, p.resolvers.Search
	}
	p.leases = leases{gateway: cfg.Gateway, server: dhcp.New(c), sender: sender}
}

// gone notes that nothing more comes from a port of the link.
func (l *leases) gone(p link.Port) { l.server.Gone(dhcp.Port(p)) }

// handle takes a datagram that is for the server and reports whether it was.
// Who has no address yet sends from 0.0.0.0.
func (l *leases) handle(p link.Packet) bool {
	udp := header.UDP(p.Bytes[p.HdrLen:])
	if len(udp) < header.UDPMinimumSize || udp.DestinationPort() != dhcp.ServerPort {
		return false
	}
	if dst := p.Dst(); dst != l.gateway && dst != broadcast4 {
		return false
	}
	size := int(udp.Length())
	if size < header.UDPMinimumSize || size > len(udp) {
		return true
	}
	if reply, to, ok := l.server.Handle(udp[header.UDPMinimumSize:size], dhcp.Port(p.Port)); ok {
		// Clients read whole frames, and may verify the checksum.
		from := netip.AddrPortFrom(l.gateway, dhcp.ServerPort)
		l.sender.UDP(from, to, reply, datagram.Meta{TOS: tosDHCP, WholeSum: true})
	}
	return true
}
