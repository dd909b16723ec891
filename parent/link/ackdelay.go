package link

import (
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
// So is the end, after the guest's. Only what acknowledges a small segment waits, so that a stream's sender is
// not held up, and for a millisecond at most, so that Nagle's algorithm in the
// guest is not either (Linux waits for 40 ms).
const (
	ackDelay   = time.Millisecond
	smallData  = 536 // bytes: the smallest MSS (RFC 9293, section 3.7.1)
	maxHeld    = 64
	maxAckSize = header.IPv6MinimumSize + header.TCPHeaderMaximumSize
)

// ack is a packet that waits.
type ack struct {
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
	if len(tcp) < header.TCPMinimumSize || tcp.Flags() != header.TCPFlagAck || len(ip)+len(tcp) > maxAckSize {
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
	w.since, w.h = time.Now(), h
	w.n = copy(w.b[:], ip)
	w.n += copy(w.b[w.n:], tcp)
	a.list = append(a.list, w)
	a.waiting.Store(int32(len(a.list)))
	return true
}

// forget drops what pkt says as well.
func (a *acks) forget(pkt *stack.PacketBuffer) {
	if a.waiting.Load() == 0 || len(pkt.TransportHeader().Slice()) < header.TCPMinimumSize {
		return
	}
	ip, tcp := pkt.NetworkHeader().Slice(), pkt.TransportHeader().Slice()
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, w := range a.list {
		if w.sameConnection(ip, tcp) {
			a.remove(i)
			return
		}
	}
}

// sameConnection compares addresses and ports.
func (w *ack) sameConnection(ip, tcp []byte) bool {
	b := w.packet()
	if b[0]>>4 != ip[0]>>4 || len(b) < len(ip)+4 {
		return false
	}
	from, to := 12, header.IPv4MinimumSize
	if b[0]>>4 == 6 {
		from, to = 8, header.IPv6MinimumSize
	}
	return string(b[from:to]) == string(ip[from:to]) && string(b[len(ip):len(ip)+4]) == string(tcp[:4])
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
