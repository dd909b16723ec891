package datagram

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

// Link is where packets go; *link.Endpoint is one.
type Link interface {
	Send(h *link.VnetHdr, hdr, payload []byte) bool
	TakesPartialChecksums() bool
	TakesDatagrams(v6 bool) bool
	MTU() uint32
}

// Sender builds packets and sends them on a Link. Its methods may be called on
// several goroutines at once.
type Sender struct {
	link Link
	// id is the source of identification fields. Only fragments need one
	// (RFC 6864).
	id atomic.Uint32
}

// scratch is where headers are built. Link is an interface, so what is passed
// to it would else be allocated for each datagram.
type scratch struct {
	vnet link.VnetHdr
	b    [header.IPv4MinimumSize + header.UDPMinimumSize]byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// newScratch is an empty one; the caller puts it back.
func newScratch() *scratch {
	s := scratches.Get().(*scratch)
	*s = scratch{}
	return s
}

// New makes a Sender.
func New(l Link) *Sender { return &Sender{link: l} }

// Values of the C program, which guests may see.
const (
	// udpSumOffset is where the checksum is in a UDP header (RFC 768).
	udpSumOffset = 6

	ttlUDP  = 64
	ttlICMP = 255
	tosICMP = 0xc0 // internetwork control, for errors

	// QuoteMax is how many bytes of the offending packet an ICMP error
	// carries: all that fits in the 576 bytes that RFC 1812, section 4.3.2.3
	// allows, as the C program does.
	QuoteMax = 548
)

// Meta are the fields of a datagram that a host socket can tell of.
type Meta struct {
	TTL uint8 // 0: 64
	TOS uint8
	// WholeSum is for receivers that look at the checksum on the wire, and
	// not at what the kernel has made of it. IPv4 only.
	WholeSum bool
}

// UDP sends payload from src to dst, in fragments if it is larger than the
// link's MTU. Both addresses are of one family.
func (s *Sender) UDP(src, dst netip.AddrPort, payload []byte, m Meta) {
	if m.TTL == 0 {
		m.TTL = ttlUDP
	}
	if dst.Addr().Is6() {
		s.udp6(src, dst, payload, m)
		return
	}
	const l3, l4 = header.IPv4MinimumSize, header.UDPMinimumSize
	size := l4 + len(payload)
	if size > 0xffff-l3 {
		return // no host socket hands us one
	}
	sc := newScratch()
	defer scratches.Put(sc)
	b := &sc.b
	udp := encodeUDP(b[l3:], src, dst, size)
	whole := l3+size <= int(s.link.MTU())
	pseudo := pseudoSum(src.Addr(), dst.Addr(), header.UDPProtocolNumber, size)
	if whole && !m.WholeSum && s.link.TakesPartialChecksums() {
		udp.SetChecksum(pseudo)
		sc.vnet = link.VnetHdr{NeedsCsum: true, CsumStart: l3, CsumOffset: udpSumOffset}
	} else {
		sum := ^checksum.Checksum(payload, udp.CalculateChecksum(pseudo))
		if sum == 0 {
			sum = 0xffff // RFC 768: 0 would mean "none"
		}
		udp.SetChecksum(sum)
	}
	f := ipFields{src: src.Addr(), dst: dst.Addr(), proto: uint8(header.UDPProtocolNumber), ttl: m.TTL, tos: m.TOS}
	if whole {
		f.encode(b[:l3], size)
		s.link.Send(&sc.vnet, b[:], payload)
		return
	}
	s.fragments(f, b[l3:], payload)
}

// ipFields is the variable part of an IPv4 header without options.
type ipFields struct {
	src, dst netip.Addr
	proto    uint8
	ttl, tos uint8
	id       uint16
	offset   int // bytes
	more     bool
}

// encode writes the header of a packet with size bytes behind it.
func (f *ipFields) encode(b []byte, size int) {
	b[0] = 0x45
	b[1] = f.tos
	binary.BigEndian.PutUint16(b[2:], uint16(header.IPv4MinimumSize+size))
	binary.BigEndian.PutUint16(b[4:], f.id)
	frag := uint16(f.offset / 8)
	if f.more {
		frag |= 0x2000
	}
	binary.BigEndian.PutUint16(b[6:], frag)
	b[8] = f.ttl
	b[9] = f.proto
	b[10], b[11] = 0, 0
	src, dst := f.src.As4(), f.dst.As4()
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	binary.BigEndian.PutUint16(b[10:], ^checksum.Checksum(b[:header.IPv4MinimumSize], 0))
}

// fragments sends l4 and payload as fragments, on 8-byte boundaries.
func (s *Sender) fragments(f ipFields, l4, payload []byte) {
	const l3 = header.IPv4MinimumSize
	f.id = uint16(s.id.Add(1))
	room := (int(s.link.MTU()) - l3) &^ 7
	if room <= len(l4) {
		return // an MTU below 68 is not IPv4 (RFC 791)
	}
	// The transport header travels with the first fragment.
	sc := newScratch()
	defer scratches.Put(sc)
	n := min(room-len(l4), len(payload))
	f.more = n < len(payload)
	f.encode(sc.b[:l3], len(l4)+n)
	copy(sc.b[l3:], l4)
	if !s.link.Send(&sc.vnet, sc.b[:l3+len(l4)], payload[:n]) {
		return
	}
	f.offset = len(l4) + n
	payload = payload[n:]
	for len(payload) > 0 {
		n := min(room, len(payload))
		f.more = n < len(payload)
		f.encode(sc.b[:l3], n)
		if !s.link.Send(&sc.vnet, sc.b[:l3], payload[:n]) {
			return
		}
		f.offset += n
		payload = payload[n:]
	}
}

// pseudoSum is the checksum of the pseudo-header of a message of size bytes.
func pseudoSum(src, dst netip.Addr, proto tcpip.TransportProtocolNumber, size int) uint16 {
	a, b := src.As4(), dst.As4()
	sum := checksum.Checksum(a[:], uint16(proto))
	sum = checksum.Checksum(b[:], sum)
	return checksum.Combine(sum, uint16(size))
}
