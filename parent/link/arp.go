package link

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// ARP for Ethernet and IPv4 as described in RFC 826.
const (
	arpLen     = 28
	arpRequest = 1
	arpReply   = 2

	// arpFrame is the size of our replies in bytes, as the C program's: the
	// Ethernet minimum without the frame check sequence, and 4 bytes more.
	arpFrame = 64
)

// answerARP answers a request for one of our addresses and learns from all
// that is well-formed. b is the ARP packet, from is the frame's source.
func (e *Endpoint) answerARP(b []byte, from MAC) {
	if len(b) < arpLen ||
		binary.BigEndian.Uint16(b[0:]) != 1 || // Ethernet
		binary.BigEndian.Uint16(b[2:]) != etherIPv4 ||
		b[4] != 6 || b[5] != 4 {
		e.stats.Malformed.Add(1)
		return
	}
	var senderMAC MAC
	copy(senderMAC[:], b[8:14])
	sender := netip.AddrFrom4([4]byte(b[14:18]))
	target := netip.AddrFrom4([4]byte(b[24:28]))
	if !e.ours(sender) {
		e.neigh.learn(sender, senderMAC)
	}
	if binary.BigEndian.Uint16(b[6:]) != arpRequest || !e.ours(target) || sender == target {
		return
	}
	mac := ipv4MAC(target)
	var f [arpFrame]byte
	copy(f[0:], senderMAC[:])
	copy(f[6:], mac[:])
	binary.BigEndian.PutUint16(f[12:], etherARP)
	r := f[ethLen:]
	copy(r, b[:6])
	binary.BigEndian.PutUint16(r[6:], arpReply)
	copy(r[8:], mac[:])
	copy(r[14:], b[24:28])
	copy(r[18:], senderMAC[:])
	copy(r[24:], b[14:18])
	e.sendRaw(f[:])
}

// ours tells whether a is an address that we answer ARP requests for.
func (e *Endpoint) ours(a netip.Addr) bool { return slices.Contains(e.addrs, a) }

// ipv4MAC is the Ethernet address that belongs to one of our IPv4 addresses,
// the same as the C program's.
func ipv4MAC(a netip.Addr) MAC {
	m := MAC{0x52, 0x55}
	b := a.As4()
	copy(m[2:], b[:])
	return m
}
