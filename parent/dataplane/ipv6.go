package dataplane

import (
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/dhcp6"
	"github.com/slirp4netns-go/slirp4netns/parent/hostfwd"
	"github.com/slirp4netns-go/slirp4netns/parent/link"
	"github.com/slirp4netns-go/slirp4netns/parent/ndp"
	"github.com/slirp4netns-go/slirp4netns/parent/outbound"
)

// Router6 is the router's address on the guest's link; nameserverLocal6 is
// answered for as well, as by the C program.
var (
	Router6          = netip.MustParseAddr("fe80::2")
	nameserverLocal6 = netip.MustParseAddr("fe80::3")
)

// linkLocal6 are the addresses of every data plane with IPv6.
func (c *Config) linkLocal6() []netip.Addr {
	if !c.EnableIPv6 {
		return nil
	}
	return []netip.Addr{Router6, nameserverLocal6}
}

// Addrs6 are all IPv6 addresses that are ours.
func (c *Config) Addrs6() []netip.Addr {
	if !c.EnableIPv6 {
		return nil
	}
	return append(c.linkLocal6(), c.Gateway6, c.Nameserver6)
}

// guest6 is the guest's IPv6 network as forwards see it.
func (c *Config) guest6() hostfwd.Guest {
	if !c.EnableIPv6 {
		return hostfwd.Guest{}
	}
	return hostfwd.Guest{Gateway: c.Gateway6, Prefix: c.Network6}
}

// ipv6 is what a Plane has more with IPv6.
type ipv6 struct {
	sender *datagram.Sender
	router *ndp.Responder
	dhcp   *dhcp6.Responder
	local  []netip.Addr // where DHCPv6 is spoken
}

// newIPv6 makes it.
func newIPv6(cfg Config, sender *datagram.Sender) *ipv6 {
	nameserver := cfg.Nameserver6
	if cfg.DisableDNS {
		nameserver = netip.Addr{}
	}
	return &ipv6{
		sender: sender,
		router: ndp.New(ndp.Config{
			Addrs: cfg.Addrs6(), MAC: link.RouterMAC6,
			Prefix: cfg.Network6, MTU: cfg.MTU, Nameserver: nameserver,
			Send: sender.ICMPv6,
		}),
		dhcp:  dhcp6.New(link.RouterMAC6, nameserver),
		local: []netip.Addr{dhcp6.Servers, Router6, cfg.Gateway6},
	}
}

// receive6 takes from the link what netstack shall not see of IPv6.
func (p *Plane) receive6(pkt link.Packet) bool {
	switch pkt.Proto {
	case header.UDPProtocolNumber:
		if !p.ipv6.configures(pkt) && !p.fwd.HandleUDP(pkt) {
			p.udp.Handle(pkt)
		}
	case header.ICMPv6ProtocolNumber:
		return p.receiveICMPv6(pkt)
	case header.TCPProtocolNumber:
		return p.tcp.Refuse(pkt)
	default:
		p.drops.Add(outbound.DropProtocol)
	}
	return true
}

func (p *Plane) receiveICMPv6(pkt link.Packet) bool {
	msg := pkt.Bytes[pkt.HdrLen:]
	if len(msg) < header.ICMPv6MinimumSize {
		p.drops.Add(outbound.DropMalformed)
		return true
	}
	m := ndp.Message{Src: pkt.Src(), Dst: pkt.Dst(), HopLimit: pkt.TTL(), Bytes: msg}
	if p.ipv6.router.Handle(m) {
		return true
	}
	switch header.ICMPv6(msg).Type() {
	case header.ICMPv6DstUnreachable, header.ICMPv6PacketTooBig:
		return false // perhaps about a segment of ours
	}
	p.echo.Handle(pkt)
	return true
}

// configures answers a datagram to the DHCPv6 server, and tells whether it was
// one.
func (v *ipv6) configures(p link.Packet) bool {
	udp := header.UDP(p.Bytes[p.HdrLen:])
	if len(udp) < header.UDPMinimumSize || udp.DestinationPort() != dhcp6.ServerPort {
		return false
	}
	to := p.Dst()
	if n := int(udp.Length()); !slices.Contains(v.local, to) || n < header.UDPMinimumSize || n > len(udp) {
		return false
	}
	if to.IsMulticast() {
		to = Router6
	}
	if answer := v.dhcp.Answer(udp[header.UDPMinimumSize:udp.Length()]); answer != nil {
		guest := netip.AddrPortFrom(p.Src(), udp.SourcePort())
		v.sender.UDP(netip.AddrPortFrom(to, dhcp6.ServerPort), guest, answer, datagram.Meta{})
	}
	return true
}
