package gro

import (
	"bytes"
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// maxIP is the size in bytes of the largest IPv4 packet, and of the largest
// IPv6 packet that this package makes.
const maxIP = 65535

// Segment is an IP packet that was made of one or more others.
type Segment struct {
	// HdrLen is how many bytes of IP header it has.
	HdrLen int

	parts  [][]byte // IP packets, in order
	tcpLen int      // bytes of TCP header
	size   int      // bytes of the whole
	data   int      // bytes of payload of the first part
	next   uint32   // sequence number behind the last part
	sameID bool     // all parts have the same IPv4 ID; known from the second on
}

// Size is the packet's length in bytes.
func (s *Segment) Size() int { return s.size }

// Parts is how many packets it was made of.
func (s *Segment) Parts() int { return len(s.parts) }

// V6 tells whether it is one of IPv6.
func (s *Segment) V6() bool { return s.parts[0][0]>>4 == 6 }

// CopyTo writes the packet to b, which has Size bytes.
func (s *Segment) CopyTo(b []byte) {
	n := copy(b, s.parts[0])
	if len(s.parts) == 1 {
		return
	}
	for _, p := range s.parts[1:] {
		n += copy(b[n:], p[s.HdrLen+s.tcpLen:])
	}
	last := s.parts[len(s.parts)-1]
	b[s.HdrLen+header.TCPFlagsOffset] = last[s.HdrLen+header.TCPFlagsOffset]
	if s.V6() {
		header.IPv6(b).SetPayloadLength(uint16(s.size - s.HdrLen))
		return
	}
	ip := header.IPv4(b)
	ip.SetTotalLength(uint16(s.size))
	ip.SetChecksum(0)
	ip.SetChecksum(^checksum.Checksum(b[:s.HdrLen], 0))
}

// begin makes p the first part. It reports false if nothing can be joined to
// it; then it is the only one.
func (s *Segment) begin(p []byte, hdrLen int) bool {
	s.parts = append(s.parts[:0], p)
	s.HdrLen, s.size = hdrLen, len(p)
	if !joinable(p, hdrLen) {
		return false
	}
	tcp := header.TCP(p[hdrLen:])
	s.tcpLen = int(tcp.DataOffset())
	s.data = len(tcp) - s.tcpLen
	s.next = tcp.SequenceNumber() + uint32(s.data)
	return tcp.Flags() == header.TCPFlagAck
}

// joinable tells whether a packet may be a part of a larger one.
func joinable(p []byte, hdrLen int) bool {
	tcp := header.TCP(p[hdrLen:])
	if p[0] != 4<<4|header.IPv4MinimumSize/4 && (p[0]>>4 != 6 || hdrLen != header.IPv6MinimumSize) {
		return false
	}
	return len(tcp) >= header.TCPMinimumSize && tcp.DataOffset() >= header.TCPMinimumSize && int(tcp.DataOffset()) < len(tcp) &&
		tcp.Flags()&^(header.TCPFlagPsh|header.TCPFlagFin) == header.TCPFlagAck
}

// join makes p, which is of the same connection, the last part. It reports
// false if it cannot be one. ends tells whether nothing can come behind it.
func (s *Segment) join(p []byte, hdrLen int) (joined, ends bool) {
	if !joinable(p, hdrLen) || !s.follows(p) {
		return false, false
	}
	tcp := header.TCP(p[hdrLen:])
	data := len(tcp) - s.tcpLen
	s.parts = append(s.parts, p)
	s.size += data
	s.next += uint32(data)
	return true, data < s.data || tcp.Flags() != header.TCPFlagAck
}

// follows tells whether p, which is joinable, would come out again if the
// packet was cut up behind it.
func (s *Segment) follows(p []byte) bool {
	first := s.parts[0]
	if s.V6() {
		// Version, class, flow label; next header and hop limit.
		if !bytes.Equal(p[:4], first[:4]) || p[7] != first[7] {
			return false
		}
	} else if p[1] != first[1] || p[8] != first[8] || !bytes.Equal(p[6:8], first[6:8]) || !s.followsID(p) {
		return false
	}
	a, b := header.TCP(first[s.HdrLen:]), header.TCP(p[s.HdrLen:])
	const (
		ack     = header.TCPAckNumOffset
		flags   = header.TCPFlagsOffset
		window  = header.TCPWinSizeOffset
		urgent  = header.TCPUrgentPtrOffset
		options = header.TCPMinimumSize
	)
	// What is between acknowledgement number and flags is the header's length.
	if b.SequenceNumber() != s.next || !bytes.Equal(b[ack:flags], a[ack:flags]) {
		return false
	}
	data := len(b) - s.tcpLen
	return data <= s.data && s.size+data <= maxIP &&
		b.WindowSize() == a.WindowSize() &&
		binary.BigEndian.Uint16(b[urgent:]) == binary.BigEndian.Uint16(a[urgent:]) &&
		bytes.Equal(b[options:s.tcpLen], a[options:s.tcpLen])
}

// followsID tells whether the ID of an IPv4 packet is what it would be if it
// had been cut off: the next one, or the same where that has no meaning, since
// nobody may fragment the packet (RFC 6864).
func (s *Segment) followsID(p []byte) bool {
	first, ip := header.IPv4(s.parts[0]), header.IPv4(p)
	if len(s.parts) == 1 {
		s.sameID = ip.ID() == first.ID() && ip.Flags()&header.IPv4FlagDontFragment != 0
	}
	if s.sameID {
		return ip.ID() == first.ID()
	}
	return ip.ID() == first.ID()+uint16(len(s.parts))
}
