package link

import (
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// unreachable tells netstack of a frame that nobody took, as a router in its
// place would be told (RFC 1812, section 4.3.3.1; RFC 4861, section 7.2.2). Only
// TCP is netstack's; of what others send nobody can be told.
func (e *Endpoint) unreachable(frame []byte) {
	e.stats.WriteDropped.Add(1)
	ip := frame[ethLen:]
	switch {
	case ip[0]>>4 == 4 && header.IPv4(ip).TransportProtocol() == header.TCPProtocolNumber:
		e.inject(header.IPv4ProtocolNumber, e.unreachable4(ip))
	case ip[0]>>4 == 6 && ip[6] == uint8(header.TCPProtocolNumber):
		e.inject(header.IPv6ProtocolNumber, e.unreachable6(ip))
	}
}

// inject hands netstack a packet.
func (e *Endpoint) inject(proto tcpip.NetworkProtocolNumber, b []byte) {
	if e.closed.Load() {
		return
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithView(buffer.NewViewWithData(b))})
	e.dispatcher.DeliverNetworkPacket(proto, pkt)
	pkt.DecRef()
}

// quoted is how many bytes of a packet an error carries here: its headers.
const quoted = 128

// unreachable4 is an ICMP error about ip, to its source: host unreachable.
func (e *Endpoint) unreachable4(ip []byte) []byte {
	quote := ip[:min(len(ip), quoted)]
	const headers = header.IPv4MinimumSize + header.ICMPv4MinimumSize
	b := make([]byte, headers, headers+len(quote))
	h := header.IPv4(b)
	h.Encode(&header.IPv4Fields{
		TotalLength: uint16(headers + len(quote)), TTL: 255, Protocol: uint8(header.ICMPv4ProtocolNumber),
		SrcAddr: tcpip.AddrFrom4(e.addrs[0].As4()), DstAddr: header.IPv4(ip).SourceAddress(),
	})
	h.SetChecksum(^h.CalculateChecksum())
	icmp := header.ICMPv4(b[header.IPv4MinimumSize:])
	icmp.SetType(header.ICMPv4DstUnreachable)
	icmp.SetCode(header.ICMPv4HostUnreachable)
	b = append(b, quote...)
	icmp.SetChecksum(^checksum.Checksum(b[header.IPv4MinimumSize:], 0))
	return b
}

// unreachable6 is the same for IPv6: no route, since netstack does not heed
// "address unreachable".
func (e *Endpoint) unreachable6(ip []byte) []byte {
	quote := ip[:min(len(ip), quoted)]
	const headers = header.IPv6MinimumSize + header.ICMPv6DstUnreachableMinimumSize
	b := make([]byte, headers, headers+len(quote))
	header.IPv6(b).Encode(&header.IPv6Fields{
		PayloadLength:     uint16(header.ICMPv6DstUnreachableMinimumSize + len(quote)),
		TransportProtocol: header.ICMPv6ProtocolNumber, HopLimit: 255,
		SrcAddr: tcpip.AddrFrom16(e.addrs6[0].As16()), DstAddr: header.IPv6(ip).SourceAddress(),
	})
	icmp := header.ICMPv6(b[header.IPv6MinimumSize:])
	icmp.SetType(header.ICMPv6DstUnreachable)
	icmp.SetCode(header.ICMPv6NetworkUnreachable)
	b = append(b, quote...)
	setSum6(b)
	return b
}
