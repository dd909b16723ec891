package outbound

import (
	"net/netip"

	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

// maxBatch is how many bytes of payload are gathered at most: what fits in a
// UDP datagram, which is how the kernel looks at them at first.
const maxBatch = 65000

// batch is datagrams of one flow to one peer that came right behind one
// another: one system call sends them (UDP_SEGMENT, udp(7)). All are of one
// size, but the last one may be shorter.
type batch struct {
	flow *udpFlow // nil: there are none
	host netip.AddrPort
	hop  hop
	size int // bytes of payload of the first one
	n    int // datagrams
	head int // bytes of headers before the first one, for errors to quote
	buf  []byte
}

// gather takes a datagram to send it later, at the latest in Flush. It reports
// false for those that it is not for, and has done nothing then.
func (u *UDP) gather(f *udpFlow, payload []byte, host netip.AddrPort, p link.Packet) bool {
	h := hopOf(p, host.Addr())
	if p.SegSize != 0 || len(payload) == 0 || h.groupTTL != 0 || !hostsock.Segments() {
		return false
	}
	b := &u.batch
	if b.flow != nil && (b.flow != f || b.host != host || b.hop != h || len(payload) > b.size || len(b.buf)-b.head+len(payload) > maxBatch) {
		u.Flush()
	}
	if b.flow == nil {
		b.flow, b.host, b.hop, b.size, b.n = f, host, h, len(payload), 0
		b.head = len(p.Bytes) - len(payload)
		b.buf = append(b.buf[:0], p.Bytes[:b.head]...)
	}
	b.buf = append(b.buf, payload...)
	if b.n++; b.n == hostsock.MaxSegments || len(payload) < b.size {
		u.Flush()
	}
	return true
}

// Flush sends what was gathered. It runs where Handle does.
func (u *UDP) Flush() {
	b := &u.batch
	if b.flow == nil {
		return
	}
	f := b.flow
	b.flow = nil
	packet := b.buf[:b.head+b.size]
	if errno := f.send(b.buf[b.head:], b.size, b.host, b.hop, packet); errno != 0 {
		u.unreachable(errno, packet)
	}
}
