package vswitch

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

// Sizes in bytes.
const (
	ethLen     = header.EthernetMinimumSize
	vlanTagLen = 4
	arpLen     = 28 // for Ethernet and IPv4
)

// EtherTypes.
const (
	typeIPv4 = uint16(header.IPv4ProtocolNumber)
	typeIPv6 = uint16(header.IPv6ProtocolNumber)
	typeARP  = uint16(header.ARPProtocolNumber)
	typeVLAN = 0x8100 // IEEE 802.1Q
	typeQinQ = 0x88a8 // IEEE 802.1ad
)

// maxTags is how many VLAN tags a frame may have.
const maxTags = 4

// Ports of DHCP (RFC 2131) and DHCPv6 (RFC 8415) clients.
const (
	dhcpClient  = 68
	dhcp6Client = 546
)

// verdict is what the guard finds.
type verdict int

const (
	passes verdict = iota
	malformed
	forbidden // a peer may not send this
)

// guard knows what peers may not send. See the package's comment.
type guard struct {
	macs   []link.MAC
	addrs  []netip.Addr // IPv4
	addrs6 []netip.Addr
}

// judge looks at a frame.
func (g *guard) judge(f []byte) verdict {
	if len(f) < ethLen {
		return malformed
	}
	src := link.MAC(f[6:12])
	if isGroup(src) || src == (link.MAC{}) {
		return malformed
	}
	if slices.Contains(g.macs, src) || reserved(link.MAC(f[:6])) {
		return forbidden
	}
	proto, b := binary.BigEndian.Uint16(f[12:]), f[ethLen:]
	for tags := 0; proto == typeVLAN || proto == typeQinQ; tags++ {
		if len(b) < vlanTagLen || tags == maxTags {
			return malformed
		}
		proto, b = binary.BigEndian.Uint16(b[2:]), b[vlanTagLen:]
	}
	switch proto {
	case typeARP:
		return g.judgeARP(b)
	case typeIPv4:
		return g.judgeIPv4(b)
	case typeIPv6:
		return g.judgeIPv6(b)
	}
	return passes
}

// isGroup tells whether m is a multicast address, or broadcast.
func isGroup(m link.MAC) bool { return m[0]&1 != 0 }

// reserved tells whether m is one of the group addresses that a bridge does
// not relay (IEEE 802.1D, table 7-10).
func reserved(m link.MAC) bool {
	return [5]byte(m[:5]) == [5]byte{0x01, 0x80, 0xc2, 0, 0} && m[5] < 0x10
}

// judgeARP looks at the sender of an ARP packet, whatever hardware it claims:
// Linux takes more than one.
func (g *guard) judgeARP(b []byte) verdict {
	if len(b) < arpLen || b[4] != 6 || b[5] != 4 {
		return malformed
	}
	if slices.Contains(g.macs, link.MAC(b[8:14])) || slices.Contains(g.addrs, netip.AddrFrom4([4]byte(b[14:18]))) {
		return forbidden
	}
	return passes
}

func (g *guard) judgeIPv4(b []byte) verdict {
	if len(b) < header.IPv4MinimumSize || b[0]>>4 != 4 {
		return malformed
	}
	ip := header.IPv4(b)
	hdrLen, total := int(ip.HeaderLength()), int(ip.TotalLength())
	if hdrLen < header.IPv4MinimumSize || total < hdrLen || total > len(b) {
		return malformed
	}
	if slices.Contains(g.addrs, netip.AddrFrom4([4]byte(b[12:16]))) {
		return forbidden
	}
	if ip.TransportProtocol() == header.UDPProtocolNumber && ip.FragmentOffset() == 0 {
		return judgeUDP(b[hdrLen:total], dhcpClient)
	}
	return passes
}

// judgeUDP looks at the start of a datagram.
func judgeUDP(b []byte, client uint16) verdict {
	if len(b) < header.UDPMinimumSize {
		return malformed
	}
	if binary.BigEndian.Uint16(b[2:]) == client {
		return forbidden
	}
	return passes
}

func (g *guard) judgeIPv6(b []byte) verdict {
	if len(b) < header.IPv6MinimumSize {
		return malformed
	}
	total := header.IPv6MinimumSize + int(header.IPv6(b).PayloadLength())
	if total > len(b) {
		return malformed
	}
	c, ok := link.WalkIPv6(b[:total])
	if !ok {
		return malformed
	}
	if slices.Contains(g.addrs6, netip.AddrFrom16([16]byte(b[8:24]))) {
		return forbidden
	}
	if c.Later {
		return passes // useless without the first, which is looked at
	}
	msg := b[c.HdrLen:total]
	switch c.Proto {
	case header.ICMPv6ProtocolNumber:
		return g.judgeICMPv6(msg, c.Fragment)
	case header.UDPProtocolNumber:
		return judgeUDP(msg, dhcp6Client)
	}
	return passes
}

func (g *guard) judgeICMPv6(msg []byte, fragment bool) verdict {
	if len(msg) < header.ICMPv6MinimumSize {
		return malformed
	}
	typ := header.ICMPv6Type(msg[0])
	if fragment && typ >= header.ICMPv6RouterSolicit && typ <= header.ICMPv6RedirectMsg {
		return malformed
	}
	switch typ {
	case header.ICMPv6RouterAdvert, header.ICMPv6RedirectMsg:
		return forbidden
	case header.ICMPv6NeighborAdvert:
		const target = 8 // RFC 4861, section 4.4
		if len(msg) < target+16 {
			return malformed
		}
		if slices.Contains(g.addrs6, netip.AddrFrom16([16]byte(msg[target:target+16]))) {
			return forbidden
		}
	}
	return passes
}
