package link

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// ARP for Ethernet and IPv4 as described in RFC 826.
const (
	arpLen      = 28
	arpEthernet = 1 // hardware
	arpRequest  = 1
	arpReply    = 2

	// arpFrame is the size of our replies in bytes, as the C program's: the
	// Ethernet minimum without the frame check sequence, and 4 bytes more.
	arpFrame = 64
)

// answerARP answers a request for one of our addresses and learns from all
// that is well-formed. b is the ARP packet.
func (e *Endpoint) answerARP(b []byte, from Port) {
	if len(b) < arpLen ||
		binary.BigEndian.Uint16(b[0:]) != arpEthernet ||
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
		e.neigh.learn(sender, senderMAC, from, true)
	}
	if binary.BigEndian.Uint16(b[6:]) != arpRequest || !e.ours(target) || sender == target {
		return
	}
	e.sendRaw(arpPacket(arpReply, target, senderMAC, senderMAC, sender))
}

// Announcement is the frame by which an IPv4 address of ours says what its
// Ethernet address is, without having been asked (RFC 5227, section 3).
func Announcement(a netip.Addr) []byte {
	return arpPacket(arpRequest, a, broadcastMAC, MAC{}, a)
}

// arpPacket is a frame to dst in which one of our addresses, from, says op
// about targetMAC and target.
func arpPacket(op uint16, from netip.Addr, dst, targetMAC MAC, target netip.Addr) []byte {
	mac, ip, targetIP := ipv4MAC(from), from.As4(), target.As4()
	f := make([]byte, arpFrame)
	ethernetHeader(f, dst, mac, etherARP)
	r := f[ethLen:]
	binary.BigEndian.PutUint16(r[0:], arpEthernet)
	binary.BigEndian.PutUint16(r[2:], etherIPv4)
	r[4], r[5] = byte(len(mac)), byte(len(ip))
	binary.BigEndian.PutUint16(r[6:], op)
	copy(r[8:], mac[:])
	copy(r[14:], ip[:])
	copy(r[18:], targetMAC[:])
	copy(r[24:], targetIP[:])
	return f
}

// ethernetHeader writes one.
func ethernetHeader(b []byte, dst, src MAC, proto uint16) {
	copy(b[0:], dst[:])
	copy(b[6:], src[:])
	binary.BigEndian.PutUint16(b[12:], proto)
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

// OwnMACs are the Ethernet addresses of our own with these IPv4 addresses.
func OwnMACs(addrs ...netip.Addr) []MAC {
	macs := []MAC{RouterMAC6}
	for _, a := range addrs {
		macs = append(macs, ipv4MAC(a))
	}
	return macs
}
