package datagram

import (
	"encoding/binary"
	"net/netip"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

const (
	// fragmentHeader announces an extension header of fragmentLen bytes
	// (RFC 8200, section 4.5).
	fragmentHeader = 44
	fragmentLen    = 8
)

// scratch6 is scratch for IPv6.
type scratch6 struct {
	vnet link.VnetHdr
	b    [header.IPv6MinimumSize + fragmentLen + header.UDPMinimumSize]byte
}

var scratches6 = sync.Pool{New: func() any { return new(scratch6) }}

// newScratch6 is an empty one; the caller puts it back.
func newScratch6() *scratch6 {
	s := scratches6.Get().(*scratch6)
	*s = scratch6{}
	return s
}

// ip6Fields is the variable part of an IPv6 header.
type ip6Fields struct {
	src, dst netip.Addr
	next     uint8 // the upper-layer protocol
	hopLimit uint8
	class    uint8 // traffic class
}

// encode writes the header of a packet with size bytes behind it, the first
// of which are a header of the kind next.
func (f *ip6Fields) encode(b []byte, next uint8, size int) {
	binary.BigEndian.PutUint32(b, 6<<28|uint32(f.class)<<20)
	binary.BigEndian.PutUint16(b[4:], uint16(size))
	b[6], b[7] = next, f.hopLimit
	src, dst := f.src.As16(), f.dst.As16()
	copy(b[8:], src[:])
	copy(b[24:], dst[:])
}

// pseudo is the checksum of the pseudo-header of a message of size bytes
// (RFC 8200, section 8.1).
func (f *ip6Fields) pseudo(size int) uint16 {
	src, dst := f.src.As16(), f.dst.As16()
	sum := checksum.Checksum(src[:], uint16(f.next))
	sum = checksum.Checksum(dst[:], sum)
	return checksum.Combine(sum, uint16(size))
}

// udp6 is UDP for IPv6.
func (s *Sender) udp6(src, dst netip.AddrPort, payload []byte, m Meta) {
	const l3, l4 = header.IPv6MinimumSize, header.UDPMinimumSize
	size := l4 + len(payload)
	if size > header.IPv6MaximumPayloadSize {
		return // no host socket hands us one
	}
	f := ip6Fields{src: src.Addr(), dst: dst.Addr(), next: uint8(header.UDPProtocolNumber), hopLimit: m.TTL, class: m.TOS}
	sc := newScratch6()
	defer scratches6.Put(sc)
	udp := encodeUDP(sc.b[l3:l3+l4], src, dst, size)
	if l3+size <= int(s.link.MTU()) && s.link.TakesPartialChecksums() {
		udp.SetChecksum(f.pseudo(size))
		sc.vnet = link.VnetHdr{NeedsCsum: true, CsumStart: l3, CsumOffset: udpSumOffset}
	} else {
		sum := ^checksum.Checksum(payload, udp.CalculateChecksum(f.pseudo(size)))
		if sum == 0 {
			sum = 0xffff // 0 would mean "none", which IPv6 forbids
		}
		udp.SetChecksum(sum)
	}
	s.send6(f, sc, l4, payload)
}

// send6 sends a message whose first l4 bytes are in sc, behind room for an
// IPv6 header, and whose rest is payload; in fragments if need be.
func (s *Sender) send6(f ip6Fields, sc *scratch6, l4 int, payload []byte) {
	const l3 = header.IPv6MinimumSize
	if size := l4 + len(payload); l3+size <= int(s.link.MTU()) {
		f.encode(sc.b[:l3], f.next, size)
		s.link.Send(&sc.vnet, sc.b[:l3+l4], payload)
		return
	}
	// The message's own header travels with the first fragment.
	id := s.id.Add(1)
	room := (int(s.link.MTU()) - l3 - fragmentLen) &^ 7
	copy(sc.b[l3+fragmentLen:], sc.b[l3:l3+l4])
	for offset := 0; ; {
		n := min(room-l4, len(payload))
		if n <= 0 {
			return // IPv6 has no MTU below 1280
		}
		more := n < len(payload)
		h := sc.b[l3 : l3+fragmentLen]
		h[0], h[1] = f.next, 0
		binary.BigEndian.PutUint16(h[2:], uint16(offset)|bit(more))
		binary.BigEndian.PutUint32(h[4:], id)
		f.encode(sc.b[:l3], fragmentHeader, fragmentLen+l4+n)
		if !s.link.Send(&sc.vnet, sc.b[:l3+fragmentLen+l4], payload[:n]) || !more {
			return
		}
		offset += l4 + n
		payload, l4 = payload[n:], 0
	}
}

// bit is the M flag of a fragment header.
func bit(more bool) uint16 {
	if more {
		return 1
	}
	return 0
}
