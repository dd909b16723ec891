package link

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// transportSumOK verifies the checksum of a whole TCP, UDP or ICMPv6 message;
// other protocols have none, or carry their own. pseudo is the address part
// of the pseudo-header (RFC 9293, section 3.1; RFC 8200, section 8.1).
func transportSumOK(proto tcpip.TransportProtocolNumber, addrs, msg []byte) bool {
	switch proto {
	case header.UDPProtocolNumber:
		// RFC 768: an all-zero checksum means that the sender made none.
		// IPv6 forbids it (RFC 8200), and the addresses' size tells which.
		if len(msg) >= header.UDPMinimumSize && len(addrs) == 8 &&
			binary.BigEndian.Uint16(msg[6:]) == 0 {
			return true
		}
	case header.TCPProtocolNumber, header.ICMPv6ProtocolNumber:
	default:
		return true
	}
	sum := checksum.Checksum(addrs, uint16(proto))
	n := uint32(len(msg))
	sum = checksum.Combine(sum, uint16(n))
	sum = checksum.Combine(sum, uint16(n>>16))
	return checksum.Checksum(msg, sum) == 0xffff
}

// ChecksumOK verifies the transport checksum of a packet that was reassembled
// from fragments, which the link could not do.
func ChecksumOK(p Packet) bool {
	addrs := p.Bytes[12:20]
	if p.Bytes[0]>>4 == 6 {
		addrs = p.Bytes[8:40]
	}
	return transportSumOK(p.Proto, addrs, p.Bytes[p.HdrLen:])
}
