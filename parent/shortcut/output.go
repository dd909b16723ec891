package shortcut

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// maxPacket is the size in bytes of the largest IPv4 packet.
const maxPacket = 65535

// Link is what Output writes to.
type Link interface {
	// WriteTCP writes a packet with all its headers. It is like
	// stack.LinkEndpoint.WritePackets with that packet alone.
	WriteTCP(*stack.PacketBuffer) tcpip.Error
	MTU() uint32
}

// Output is newProtocol, netstack's IPv4 or IPv6, whose TCP segments go straight
// to the link. There must be one interface, and neither iptables nor nftables,
// address translation or loop in netstack: they are not asked.
func Output(newProtocol stack.NetworkProtocolFactory, l Link) stack.NetworkProtocolFactory {
	return func(s *stack.Stack) stack.NetworkProtocol { return &protocol{newProtocol(s), l} }
}

// protocol makes such endpoints.
type protocol struct {
	stack.NetworkProtocol
	link Link
}

// full is what netstack's endpoints are, as far as it matters with one interface
// and no groups.
type full interface {
	stack.NetworkEndpoint
	stack.AddressableEndpoint
}

// NewEndpoint implements stack.NetworkProtocol.
func (p *protocol) NewEndpoint(nic stack.NetworkInterface, d stack.TransportDispatcher) stack.NetworkEndpoint {
	ep := p.NetworkProtocol.NewEndpoint(nic, d)
	if f, ok := ep.(full); ok {
		return &endpoint{f, p.link}
	}
	return ep
}

// endpoint is one of IPv4's or IPv6's.
type endpoint struct {
	full
	link Link
}

// WritePacket implements stack.NetworkEndpoint.
func (e *endpoint) WritePacket(r *stack.Route, params stack.NetworkHeaderParams, pkt *stack.PacketBuffer) tcpip.Error {
	if params.Protocol != tcp.ProtocolNumber || params.ExperimentOptionValue != 0 || !e.fits(r.NetProto(), params.DF, pkt) {
		return e.full.WritePacket(r, params, pkt)
	}
	size := pkt.Size()
	if r.NetProto() == header.IPv4ProtocolNumber {
		ip := header.IPv4(pkt.NetworkHeader().Push(header.IPv4MinimumSize))
		// The identification is for fragments (RFC 6864, section 4.1).
		ip.Encode(&header.IPv4Fields{
			TotalLength: uint16(header.IPv4MinimumSize + size),
			Flags:       header.IPv4FlagDontFragment,
			TTL:         params.TTL,
			TOS:         params.TOS,
			Protocol:    uint8(tcp.ProtocolNumber),
			SrcAddr:     r.LocalAddress(),
			DstAddr:     r.RemoteAddress(),
		})
		ip.SetChecksum(^ip.CalculateChecksum())
	} else {
		header.IPv6(pkt.NetworkHeader().Push(header.IPv6MinimumSize)).Encode(&header.IPv6Fields{
			PayloadLength:     uint16(size),
			TransportProtocol: tcp.ProtocolNumber,
			HopLimit:          params.TTL,
			TrafficClass:      params.TOS,
			SrcAddr:           r.LocalAddress(),
			DstAddr:           r.RemoteAddress(),
		})
	}
	pkt.NetworkProtocolNumber = r.NetProto()
	return e.link.WriteTCP(pkt)
}

// fits tells whether pkt, which lacks an IP header, will be one packet. IPv4
// without "don't fragment" needs an identification.
func (e *endpoint) fits(proto tcpip.NetworkProtocolNumber, df bool, pkt *stack.PacketBuffer) bool {
	size := pkt.Size() + header.IPv6MinimumSize
	if proto == header.IPv4ProtocolNumber {
		if !df {
			return false
		}
		size = pkt.Size() + header.IPv4MinimumSize
	}
	if pkt.GSOOptions.Type == stack.GSONone {
		return size <= int(e.link.MTU())
	}
	return size <= maxPacket
}
