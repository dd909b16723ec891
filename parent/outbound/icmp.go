package outbound

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// icmp is what differs between the two versions of ICMP for echo messages,
// which look the same (RFC 792; RFC 4443, section 4).
type icmp struct {
	family, proto  int // of sockets
	request, reply uint8
}

var (
	icmp4 = &icmp{unix.AF_INET, unix.IPPROTO_ICMP, uint8(header.ICMPv4Echo), uint8(header.ICMPv4EchoReply)}
	icmp6 = &icmp{unix.AF_INET6, unix.IPPROTO_ICMPV6, uint8(header.ICMPv6EchoRequest), uint8(header.ICMPv6EchoReply)}
)

const (
	// echoLen is the size in bytes of an echo message's header.
	echoLen = 8
	// icmpIDOffset is where it has its identifier.
	icmpIDOffset = 4
)

// icmpOf is that of a guest with the address a.
func icmpOf(a netip.Addr) *icmp {
	if a.Is4() {
		return icmp4
	}
	return icmp6
}

// setID puts id into the echo message msg. The checksum of ICMPv6 has the
// packet's addresses in it: what it was is corrected by the difference.
func (i *icmp) setID(msg []byte, id uint16) {
	if i == icmp4 {
		binary.BigEndian.PutUint16(msg[icmpIDOffset:], id)
		msg[2], msg[3] = 0, 0
		binary.BigEndian.PutUint16(msg[2:], ^checksum.Checksum(msg, 0))
		return
	}
	old := binary.BigEndian.Uint16(msg[icmpIDOffset:])
	sum := binary.BigEndian.Uint16(msg[2:])
	// RFC 1624, equation 3.
	sum = ^checksum.Combine(checksum.Combine(^sum, ^old), id)
	binary.BigEndian.PutUint16(msg[2:], sum)
	binary.BigEndian.PutUint16(msg[icmpIDOffset:], id)
}
