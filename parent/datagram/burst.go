package datagram

import (
	"net/netip"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

const (
	// maxDatagram is the size in bytes of the room that any datagram fits in.
	maxDatagram = 65535
	// maxBurst is how many bytes of payload go to the guest in one piece, and
	// maxPieces how many datagrams.
	maxBurst  = 65000
	maxPieces = 64
)

// Burst takes datagrams as they are received, and sends those of one peer that
// follow one another to the guest in one piece, which its kernel cuts up again:
// one system call, and one way through its layers up to the socket.
type Burst struct {
	s    *Sender
	hold bool // or send each at once
	all  int  // datagrams taken

	src, dst netip.AddrPort
	size     int // bytes of each one that is held; the last one may be shorter
	n        int // how many are held
	used     int // bytes of them, in buf
	buf      [maxBurst + maxDatagram]byte
}

var bursts = sync.Pool{New: func() any { return new(Burst) }}

// Burst is an empty one; the caller calls its End. The first datagram is sent
// at once, so that a single one does not wait, unless hold says that others are
// likely to follow.
func (s *Sender) Burst(hold bool) *Burst {
	b := bursts.Get().(*Burst)
	b.s, b.hold, b.all, b.n, b.used = s, hold, 0, 0, 0
	return b
}

// End sends what is held, and returns how many datagrams there were in all. b
// must not be used any more.
func (b *Burst) End() int {
	b.flush()
	bursts.Put(b)
	return b.all
}

// Room is where to receive the next datagram.
func (b *Burst) Room() []byte { return b.buf[b.used : b.used+maxDatagram] }

// Add takes a datagram of n bytes, in the Room, from src to the guest's dst.
func (b *Burst) Add(src, dst netip.AddrPort, n int) {
	b.all++
	if b.n > 0 && (src != b.src || dst != b.dst || n == 0 || n > b.size || b.used+n > maxBurst) {
		at := b.used
		b.flush()
		copy(b.buf[:], b.buf[at:at+n])
	}
	if b.n == 0 {
		b.src, b.dst, b.size = src, dst, n
	}
	b.n++
	b.used += n
	if !b.hold || n < b.size || b.n == maxPieces || !b.s.cutsUp(b.dst.Addr(), n) {
		b.flush()
	}
	b.hold = true
}

// flush sends what is held.
func (b *Burst) flush() {
	switch {
	case b.n == 1:
		b.s.UDP(b.src, b.dst, b.buf[:b.used], Meta{})
	case b.n > 1:
		b.s.datagrams(b.src, b.dst, b.buf[:b.used], b.size)
	}
	b.n, b.used = 0, 0
}

// cutsUp tells whether the guest's kernel makes datagrams of n bytes for dst.
func (s *Sender) cutsUp(dst netip.Addr, n int) bool {
	headers := header.UDPMinimumSize + header.IPv4MinimumSize
	if dst.Is6() {
		headers = header.UDPMinimumSize + header.IPv6MinimumSize
	}
	return n > 0 && headers+n <= int(s.link.MTU()) && s.link.TakesDatagrams(dst.Is6())
}

// datagrams sends payload as datagrams of size bytes each.
//
// Preconditions: cutsUp.
func (s *Sender) datagrams(src, dst netip.AddrPort, payload []byte, size int) {
	length := header.UDPMinimumSize + len(payload)
	vnet := link.VnetHdr{NeedsCsum: true, CsumOffset: udpSumOffset, GSO: link.GSOUDP, SegSize: uint16(size)}
	if dst.Addr().Is6() {
		const l3, l4 = header.IPv6MinimumSize, header.UDPMinimumSize
		f := ip6Fields{src: src.Addr(), dst: dst.Addr(), next: uint8(header.UDPProtocolNumber), hopLimit: ttlUDP}
		sc := newScratch6()
		defer scratches6.Put(sc)
		sc.vnet = vnet
		sc.vnet.CsumStart, sc.vnet.HdrLen = l3, l3+l4
		encodeUDP(sc.b[l3:l3+l4], src, dst, length).SetChecksum(f.pseudo(length))
		f.encode(sc.b[:l3], f.next, length)
		s.link.Send(&sc.vnet, sc.b[:l3+l4], payload)
		return
	}
	const l3, l4 = header.IPv4MinimumSize, header.UDPMinimumSize
	f := ipFields{src: src.Addr(), dst: dst.Addr(), proto: uint8(header.UDPProtocolNumber), ttl: ttlUDP}
	sc := newScratch()
	defer scratches.Put(sc)
	sc.vnet = vnet
	sc.vnet.CsumStart, sc.vnet.HdrLen = l3, l3+l4
	encodeUDP(sc.b[l3:], src, dst, length).SetChecksum(pseudoSum(src.Addr(), dst.Addr(), header.UDPProtocolNumber, length))
	f.encode(sc.b[:l3], length)
	s.link.Send(&sc.vnet, sc.b[:], payload)
}

// encodeUDP writes the header of a datagram of size bytes, but its checksum.
func encodeUDP(b []byte, src, dst netip.AddrPort, size int) header.UDP {
	udp := header.UDP(b)
	udp.Encode(&header.UDPFields{SrcPort: src.Port(), DstPort: dst.Port(), Length: uint16(size)})
	return udp
}
