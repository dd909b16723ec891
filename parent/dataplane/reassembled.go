package dataplane

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

// takeReassembled takes what arrived in fragments, and so was left to
// netstack to reassemble.
func (p *Plane) takeReassembled() {
	for _, proto := range []tcpip.TransportProtocolNumber{
		header.UDPProtocolNumber, header.ICMPv4ProtocolNumber, header.ICMPv6ProtocolNumber,
	} {
		p.stack.SetTransportProtocolHandler(proto, p.reassembled)
	}
}

func (p *Plane) reassembled(_ stack.TransportEndpointID, pkt *stack.PacketBuffer) bool {
	v := pkt.ToView()
	defer v.Release()
	// What comes before the message: extension headers that were in the
	// fragments are not part of the network header, but are still there.
	msg := len(pkt.TransportHeader().Slice()) + pkt.Data().Size()
	q := link.Packet{
		Bytes: v.AsSlice(), Proto: pkt.TransportProtocolNumber, HdrLen: v.Size() - msg,
		Reassembled: true,
	}
	if q.V6() {
		q = bare(q)
	}
	if !link.ChecksumOK(q) {
		p.link.Stats().BadChecksum.Add(1)
		return true
	}
	return p.receive(q)
}

// bare makes one packet of a reassembled IPv6 packet, whose header is that of
// its first fragment: without extension headers, and with a length that is
// right.
func bare(p link.Packet) link.Packet {
	const l3 = header.IPv6MinimumSize
	b := p.Bytes[p.HdrLen-l3:]
	copy(b, p.Bytes[:l3])
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-l3))
	b[6] = uint8(p.Proto)
	p.Bytes, p.HdrLen = b, l3
	return p
}
