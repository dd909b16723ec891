package outbound

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
)

// icmpError is the message that tells the guest of an entry of a host socket's
// error queue. It reports false for errors that the guest is told in another
// way: as the result of the send itself.
func (p *Policy) icmpError(e hostsock.Error) (datagram.ICMPError, bool) {
	m := datagram.ICMPError{Offender: p.Gateway}
	v6 := e.Dst.Addr().Is6()
	if v6 {
		m.Offender = p.Gateway6
	}
	switch {
	case e.Errno == unix.EMSGSIZE && v6:
		m.Type = datagram.Type6PacketTooBig
		m.MTU = uint16(min(e.Info, 0xffff))
	case e.Errno == unix.EMSGSIZE:
		// By a router on the path, or by the host's own routing table.
		m.Type, m.Code = datagram.TypeUnreachable, datagram.CodeFragmentationNeeded
		m.MTU = uint16(min(e.Info, 0xffff))
	case e.Origin == unix.SO_EE_ORIGIN_ICMP, e.Origin == unix.SO_EE_ORIGIN_ICMP6:
		m.Type, m.Code = e.Type, e.Code
	case e.Origin == unix.SO_EE_ORIGIN_LOCAL && e.Errno == unix.EHOSTUNREACH:
		// Nobody on the host's link answers for the address.
		m.Type, m.Code = datagram.TypeUnreachable, datagram.CodeHostUnreachable
		if v6 {
			m.Type, m.Code = datagram.Type6Unreachable, datagram.Code6AddressUnreachable
		}
	default:
		return m, false
	}
	if e.Offender.IsValid() && !e.Offender.IsUnspecified() {
		m.Offender = p.GuestView(e.Offender)
	}
	return m, true
}

// quotePacket builds the beginning of a packet that the guest sent, for an
// ICMP error about it.
func quotePacket(src, dst netip.Addr, proto uint8, payload []byte) []byte {
	if src.Is6() {
		return quotePacket6(src, dst, proto, payload)
	}
	const l3 = header.IPv4MinimumSize
	b := make([]byte, l3, l3+len(payload))
	b[0] = 0x45
	binary.BigEndian.PutUint16(b[2:], uint16(l3+len(payload)))
	b[8], b[9] = 64, proto
	s, d := src.As4(), dst.As4()
	copy(b[12:], s[:])
	copy(b[16:], d[:])
	ip := header.IPv4(b)
	ip.SetChecksum(^ip.CalculateChecksum())
	return append(b, payload...)
}

func quotePacket6(src, dst netip.Addr, proto uint8, payload []byte) []byte {
	const l3 = header.IPv6MinimumSize
	b := make([]byte, l3, l3+len(payload))
	b[0] = 6 << 4
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	b[6], b[7] = proto, 64
	s, d := src.As16(), dst.As16()
	copy(b[8:], s[:])
	copy(b[24:], d[:])
	return append(b, payload...)
}

// quoteUDP is quotePacket for a datagram.
func quoteUDP(src, dst netip.AddrPort, payload []byte) []byte {
	b := make([]byte, header.UDPMinimumSize, header.UDPMinimumSize+len(payload))
	header.UDP(b).Encode(&header.UDPFields{SrcPort: src.Port(), DstPort: dst.Port(), Length: uint16(header.UDPMinimumSize + len(payload))})
	return quotePacket(src.Addr(), dst.Addr(), uint8(header.UDPProtocolNumber), append(b, payload...))
}
