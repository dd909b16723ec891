package link

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Acknowledgements are delayed (RFC 1122, section 4.2.3.2): netstack sends one
// for each segment as it comes, but after a request the answer, which carries
// it as well, is often there within microseconds. A frame that the guest need
// not handle is a tenth of such an exchange.
//
// So is the end, after the guest's. Only what acknowledges a small segment waits,
// so that a stream's sender is not held up, and not much longer than a
// millisecond, so that Nagle's algorithm in the guest is not either (Linux waits
// for 40 ms). Not for a Wire: nobody would call Between.
const (
	ackDelay  = time.Millisecond
	smallData = 536 // bytes: the smallest MSS (RFC 9293, section 3.7.1)
	maxHeld   = 64
	// plainSize is the header's size in bytes with timestamps: one that is
	// longer tells of segments that are missing (SACK).
	plainSize  = header.TCPMinimumSize + 12
	maxAckSize = header.IPv6MinimumSize + header.TCPHeaderMaximumSize
)

// ack is a packet that waits.
type ack struct {
	connection
	since time.Time
	h     VnetHdr
	n     int
	b     [maxAckSize]byte
}

// packet is the packet.
func (a *ack) packet() []byte { return a.b[:a.n] }

// acks are those that wait, the oldest first.
type acks struct {
	holding atomic.Bool  // what is sent now acknowledges a small segment
	waiting atomic.Int32 // len(list)

	mu   sync.Mutex
	list []*ack // guarded by mu
	free []*ack // guarded by mu
}

// hold keeps pkt for a while, if it may wait.
func (a *acks) hold(pkt *stack.PacketBuffer, h VnetHdr) bool {
	if !a.holding.Load() || pkt.Data().Size() != 0 {
		return false
	}
	ip, tcp := pkt.NetworkHeader().Slice(), header.TCP(pkt.TransportHeader().Slice())
	if len(tcp) < header.TCPMinimumSize || len(tcp) > plainSize || len(ip)+len(tcp) > maxAckSize ||
		tcp.Flags() != header.TCPFlagAck || tcp.WindowSize() == 0 {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.list) == maxHeld {
		return false
	}
	var w *ack
	if n := len(a.free); n > 0 {
		w, a.free = a.free[n-1], a.free[:n-1]
	} else {
		w = new(ack)
	}
	w.connection, w.since, w.h = connectionOf(ip, tcp, false), time.Now(), h
	w.n = copy(w.b[:], ip)
	w.n += copy(w.b[w.n:], tcp)
	a.list = append(a.list, w)
	a.waiting.Store(int32(len(a.list)))
	return true
}

// forget drops what pkt says as well, and tells whether there was something.
func (a *acks) forget(pkt *stack.PacketBuffer) bool {
	if a.waiting.Load() == 0 || len(pkt.TransportHeader().Slice()) < header.TCPMinimumSize {
		return false
	}
	return a.drop(connectionOf(pkt.NetworkHeader().Slice(), pkt.TransportHeader().Slice(), false))
}

// over is told of the guest's segments: what waited for a connection that it
// resets, or begins anew, is not for anybody.
func (a *acks) over(ip, tcp []byte) {
	if a.waiting.Load() != 0 && header.TCP(tcp).Flags().Intersects(header.TCPFlagSyn|header.TCPFlagRst) {
		a.drop(connectionOf(ip, tcp, true))
	}
}

// drop drops what waits for a connection.
func (a *acks) drop(c connection) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, w := range a.list {
		if w.connection == c {
			a.remove(i)
			return true
		}
	}
	return false
}

// connection is its two ends, from our side to the guest's.
type connection struct{ from, to netip.AddrPort }

// connectionOf reads them from IP and TCP headers; fromGuest tells who sent
// them.
func connectionOf(ip, tcp []byte, fromGuest bool) (c connection) {
	var src, dst netip.Addr
	if ip[0]>>4 == 6 {
		src, dst = netip.AddrFrom16([16]byte(ip[8:24])), netip.AddrFrom16([16]byte(ip[24:40]))
	} else {
		src, dst = netip.AddrFrom4([4]byte(ip[12:16])), netip.AddrFrom4([4]byte(ip[16:20]))
	}
	h := header.TCP(tcp)
	c = connection{netip.AddrPortFrom(src, h.SourcePort()), netip.AddrPortFrom(dst, h.DestinationPort())}
	if fromGuest {
		c.from, c.to = c.to, c.from
	}
	return c
}

// remove takes one off the list. mu is held.
func (a *acks) remove(i int) {
	a.free = append(a.free, a.list[i])
	a.list = append(a.list[:i], a.list[i+1:]...)
	a.waiting.Store(int32(len(a.list)))
}

// due takes the oldest one, if it has waited long enough, or any if all.
func (a *acks) due(all bool, out *ack) bool {
	if a.waiting.Load() == 0 {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.list) == 0 || !all && time.Since(a.list[0].since) < ackDelay {
		return false
	}
	*out = *a.list[0]
	a.remove(0)
	return true
}

// sendAcks sends those whose time has come.
func (e *Endpoint) sendAcks(all bool) {
	var w ack
	for e.acks.due(all, &w) {
		e.Send(&w.h, w.packet(), nil)
	}
}
