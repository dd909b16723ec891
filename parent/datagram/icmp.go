package datagram

import (
	"encoding/binary"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// ICMPError is an error message, of the ICMP of the packet that it is about.
type ICMPError struct {
	Type, Code uint8
	// MTU is the next-hop MTU in bytes of "fragmentation needed" (RFC 1191)
	// or "packet too big" (RFC 8201), else 0.
	MTU uint16
	// Offender is the source of the message: who could not go on.
	Offender netip.Addr
}

// Destination-unreachable codes and types of RFC 792 and RFC 1812.
const (
	TypeUnreachable  = 3
	TypeTimeExceeded = 11

	CodeNetUnreachable      = 0
	CodeHostUnreachable     = 1
	CodeProtocolUnreachable = 2
	CodePortUnreachable     = 3
	CodeFragmentationNeeded = 4
	CodeAdminProhibited     = 13
)

// Error sends e about packet, which the guest sent, back to its source. An
// error about an ICMP error, a fragment other than the first, or a packet
// that was not sent to one host or by one host is never sent (RFC 1122,
// section 3.2.2).
func (s *Sender) Error(e ICMPError, packet []byte) {
	if len(packet) > 0 && packet[0]>>4 == 6 {
		s.error6(e, packet)
		return
	}
	ip := header.IPv4(packet)
	if len(packet) < header.IPv4MinimumSize || ip.FragmentOffset() != 0 {
		return
	}
	src := netip.AddrFrom4([4]byte(packet[12:16]))
	dst := netip.AddrFrom4([4]byte(packet[16:20]))
	if !src.IsGlobalUnicast() && !src.IsLinkLocalUnicast() || dst.IsMulticast() {
		return
	}
	if ip.TransportProtocol() == header.ICMPv4ProtocolNumber {
		h := int(ip.HeaderLength())
		if len(packet) <= h || packet[h] != uint8(header.ICMPv4Echo) {
			return
		}
	}
	quote := packet[:min(len(packet), QuoteMax)]
	var msg [8]byte
	msg[0], msg[1] = e.Type, e.Code
	binary.BigEndian.PutUint16(msg[6:], e.MTU)
	s.icmp(e.Offender, src, msg, quote, tosICMP)
}

// EchoReply answers an echo request as src. rest is what followed the type,
// code and checksum of the request: identifier, sequence number, payload.
func (s *Sender) EchoReply(src, dst netip.Addr, rest []byte, m Meta) {
	if dst.Is6() {
		s.echoReply6(src, dst, rest, m)
		return
	}
	var msg [8]byte
	copy(msg[4:], rest[:4])
	payload := rest[4:]
	l3 := header.IPv4MinimumSize
	if l3+len(msg)+len(payload) <= int(s.link.MTU()) {
		s.icmpTTL(src, dst, msg, payload, m)
		return
	}
	sum := ^checksum.Checksum(payload, checksum.Checksum(msg[:], 0))
	binary.BigEndian.PutUint16(msg[2:], sum)
	s.fragments(ipFields{src: src, dst: dst, proto: uint8(header.ICMPv4ProtocolNumber), ttl: echoTTL(m), tos: m.TOS}, msg[:], payload)
}

// echoTTL is the TTL of an echo reply: what the answering host's packet had,
// or the C program's 255.
func echoTTL(m Meta) uint8 {
	if m.TTL == 0 {
		return ttlICMP
	}
	return m.TTL
}

func (s *Sender) icmp(src, dst netip.Addr, msg [8]byte, payload []byte, tos uint8) {
	s.icmpTTL(src, dst, msg, payload, Meta{TTL: ttlICMP, TOS: tos})
}

func (s *Sender) icmpTTL(src, dst netip.Addr, msg [8]byte, payload []byte, m Meta) {
	const l3 = header.IPv4MinimumSize
	sc := newScratch()
	defer scratches.Put(sc)
	f := ipFields{src: src, dst: dst, proto: uint8(header.ICMPv4ProtocolNumber), ttl: echoTTL(m), tos: m.TOS}
	f.encode(sc.b[:l3], len(msg)+len(payload))
	sum := ^checksum.Checksum(payload, checksum.Checksum(msg[:], 0))
	binary.BigEndian.PutUint16(msg[2:], sum)
	copy(sc.b[l3:], msg[:])
	s.link.Send(&sc.vnet, sc.b[:], payload)
}
