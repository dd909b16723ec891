package link

import "net/netip"

// V6 tells whether the packet is one of IPv6.
func (p Packet) V6() bool { return p.Bytes[0]>>4 == 6 }

// Src is the packet's source.
func (p Packet) Src() netip.Addr {
	if p.V6() {
		return netip.AddrFrom16([16]byte(p.Bytes[8:24]))
	}
	return netip.AddrFrom4([4]byte(p.Bytes[12:16]))
}

// Dst is the packet's destination.
func (p Packet) Dst() netip.Addr {
	if p.V6() {
		return netip.AddrFrom16([16]byte(p.Bytes[24:40]))
	}
	return netip.AddrFrom4([4]byte(p.Bytes[16:20]))
}

// TTL is the packet's time to live, or hop limit.
func (p Packet) TTL() uint8 {
	if p.V6() {
		return p.Bytes[7]
	}
	return p.Bytes[8]
}

// TOS is the packet's type of service, or traffic class.
func (p Packet) TOS() uint8 {
	if p.V6() {
		return p.Bytes[0]<<4 | p.Bytes[1]>>4
	}
	return p.Bytes[1]
}

// Whole tells whether nobody on the way may send the packet in fragments: its
// sender said so (IPv4), or did not do it himself (IPv6).
func (p Packet) Whole() bool {
	if p.V6() {
		return !p.Reassembled
	}
	return p.Bytes[6]&0x40 != 0 // don't fragment
}
