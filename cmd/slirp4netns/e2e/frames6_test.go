package e2e

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// redirect is an ICMPv6 message that names another router (RFC 4861, section 4.5).
const redirect = 137

var allNodesMAC = [6]byte{0x33, 0x33, 0, 0, 0, 1}

// neighbour6 is a packet about a target (RFC 4861, sections 4.3 to 4.5), with the
// Ethernet address of an option.
func neighbour6(kind uint8, src, dst, target netip.Addr, mac [6]byte) []byte {
	option := byte(1) // source link-layer address
	flags := uint32(0)
	if kind == neighbourAdvert {
		option, flags = 2, 0x6000_0000 // target's; solicited, override
	}
	b := binary.BigEndian.AppendUint32(nil, flags)
	b = append(b, target.AsSlice()...)
	if kind == redirect {
		b = append(b, dst.AsSlice()...)
	}
	b = append(append(b, option, 1), mac[:]...)
	return packet6(unix.IPPROTO_ICMPV6, neighbourHops, src, dst, icmp6(kind, 0, src, dst, b))
}

// resolve6 asks who has an IPv6 address, and returns the Ethernet address.
func (s *station) resolve6(addr string) [6]byte {
	s.t.Helper()
	own, target := netip.MustParseAddr("fe80::100"), netip.MustParseAddr(addr)
	last := target.As16()
	solicited := netip.MustParseAddr("ff02::1:ff00:0").As16()
	copy(solicited[13:], last[13:])
	s.send(s.ethernet([6]byte{0x33, 0x33, 0xff, last[13], last[14], last[15]}, protoIPv6,
		neighbour6(neighbourSolicit, own, netip.AddrFrom16(solicited), target, s.mac)))
	var mac [6]byte
	s.want("neighbour advertisement of "+addr, func(f []byte) bool {
		p := parse6(f)
		if p == nil || p.proto != unix.IPPROTO_ICMPV6 || len(p.msg) < 32 || p.msg[0] != neighbourAdvert ||
			[16]byte(p.msg[8:24]) != target.As16() || p.msg[24] != 2 {
			return false
		}
		mac = [6]byte(p.msg[26:32])
		return true
	})
	return mac
}
