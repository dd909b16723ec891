package link

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Sizes in bytes and fields of RFC 4861, sections 4.3, 4.4 and 4.6.1.
const (
	solicitLen     = 24 // and an advertisement's; without options
	solicitTarget  = 8
	optionSource   = 1
	optionTarget   = 2
	optionLen      = 8
	solicitHops    = 255
	solicitMessage = solicitLen + optionLen
)

// ask sends a request for the Ethernet address of a to m.
func (e *Endpoint) ask(a netip.Addr, m MAC) {
	switch {
	case a.Is4():
		e.sendRaw(arpPacket(arpRequest, e.addrs[0], m, MAC{}, a))
	case e.ipv6:
		e.sendRaw(solicitation(e.addrs6[0], a, m))
	}
}

// solicitation is the frame by which from, which is ours, asks for a: m alone, or
// all if that is broadcast.
func solicitation(from, a netip.Addr, m MAC) []byte {
	dst := a
	if m == broadcastMAC {
		dst = solicitedNode(a)
		m = multicastMAC6(dst)
	}
	f := make([]byte, ethLen+header.IPv6MinimumSize+solicitMessage)
	ethernetHeader(f, m, RouterMAC6, etherIPv6)
	src16, dst16, target := from.As16(), dst.As16(), a.As16()
	ip := header.IPv6(f[ethLen:])
	ip.Encode(&header.IPv6Fields{
		PayloadLength: solicitMessage, TransportProtocol: header.ICMPv6ProtocolNumber, HopLimit: solicitHops,
		SrcAddr: tcpip.AddrFrom16(src16), DstAddr: tcpip.AddrFrom16(dst16),
	})
	msg := header.ICMPv6(ip.Payload())
	msg.SetType(header.ICMPv6NeighborSolicit)
	copy(msg[solicitTarget:], target[:])
	msg[solicitLen], msg[solicitLen+1] = optionSource, 1
	copy(msg[solicitLen+2:], RouterMAC6[:])
	setSum6(f[ethLen:])
	return f
}

// setSum6 writes the checksum of the ICMPv6 message in an IPv6 packet without
// extension headers.
func setSum6(b []byte) {
	ip := header.IPv6(b)
	msg := header.ICMPv6(ip.Payload())
	msg.SetChecksum(0)
	sum := header.PseudoHeaderChecksum(header.ICMPv6ProtocolNumber, ip.SourceAddress(), ip.DestinationAddress(), uint16(len(msg)))
	msg.SetChecksum(^checksum.Checksum(msg, sum))
}

// solicitedNode is the multicast address of those whose address ends as a does
// (RFC 4291, section 2.7.1).
func solicitedNode(a netip.Addr) netip.Addr {
	b, s := a.As16(), [16]byte{0: 0xff, 1: 2, 11: 1, 12: 0xff}
	copy(s[13:], b[13:])
	return netip.AddrFrom16(s)
}

// heed learns from an ICMPv6 message, of the packet b, whose address its sender
// says to have: in a solicitation the packet's source, in an advertisement the
// target, which need not be the same (RFC 4861, sections 7.2.3 and 7.2.5). What
// nobody asked for changes nothing, but when it says so.
func (e *Endpoint) heed(b, msg []byte, from MAC, port Port) {
	if len(msg) < solicitLen || b[7] != solicitHops || msg[1] != 0 {
		return
	}
	src := netip.AddrFrom16([16]byte(b[8:24]))
	switch header.ICMPv6Type(msg[0]) {
	case header.ICMPv6NeighborSolicit:
		if m, ok := linkOption(msg[solicitLen:], optionSource); ok && m == from {
			e.neigh.learn(src, m, port, true)
		}
	case header.ICMPv6NeighborAdvert:
		target := netip.AddrFrom16([16]byte(msg[solicitTarget:solicitLen]))
		if target.Is4In6() || target.IsLoopback() || e.ours6(target) {
			return
		}
		m, ok := linkOption(msg[solicitLen:], optionTarget)
		if !ok {
			m = from // an answer to who knew it already has none
		}
		if src == target || e.neigh.has(target) {
			e.neigh.learn(target, m, port, true)
		}
	}
}

// linkOption is the Ethernet address in the option of a kind.
func linkOption(b []byte, kind byte) (m MAC, ok bool) {
	for len(b) >= optionLen && b[1] != 0 && len(b) >= int(b[1])*optionLen {
		if b[0] == kind && b[1] == 1 {
			return MAC(b[2:optionLen]), true
		}
		b = b[int(b[1])*optionLen:]
	}
	return m, false
}

// destination is where an IP packet goes.
func destination(ip []byte) netip.Addr {
	if ip[0]>>4 == 4 {
		return netip.AddrFrom4([4]byte(ip[16:20]))
	}
	return netip.AddrFrom16([16]byte(ip[24:40]))
}

// mac4of is the Ethernet address to which a packet for a is sent. That of a
// multicast address follows from it (RFC 1112, section 6.4).
func (e *Endpoint) mac4of(a netip.Addr) (m MAC, known bool) {
	switch {
	case a.IsMulticast():
		b := a.As4()
		return MAC{0x01, 0x00, 0x5e, b[1] & 0x7f, b[2], b[3]}, true
	case a == broadcast4, a == e.toAll, a.IsUnspecified():
		return broadcastMAC, true
	}
	return e.neigh.lookup(a)
}

// mac6of is the same for IPv6.
func (e *Endpoint) mac6of(a netip.Addr) (m MAC, known bool) {
	if a.IsMulticast() {
		return multicastMAC6(a), true
	}
	return e.neigh.lookup(a)
}

// multicastMAC6 is the Ethernet address of a multicast address: RFC 2464,
// section 7.
func multicastMAC6(a netip.Addr) MAC {
	m := MAC{0x33, 0x33}
	b := a.As16()
	copy(m[2:], b[12:])
	return m
}

// flatten is a copy of a frame in one piece.
func flatten(frame []unix.Iovec) []byte {
	size := 0
	for i := range frame {
		size += int(frame[i].Len)
	}
	b := make([]byte, 0, size)
	for i := range frame {
		b = append(b, unsafe.Slice(frame[i].Base, frame[i].Len)...)
	}
	return b
}
