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
// it as well, is often there within microseconds. A frame that nobody has to make
// and that the guest need not handle is a seventh of such an exchange.
//
// So is the end, after the guest's. Only that of a small segment waits, so that a
// stream's sender is not held up, one at a time, so that each second segment is
// acknowledged at once, and not much longer than a millisecond, so that Nagle's
// algorithm in the guest is not held up either (Linux waits for 40 ms).
const (
	ackDelay  = time.Millisecond
	smallData = 536 // bytes: the smallest MSS (RFC 9293, section 3.7.1)
	maxHeld   = 64
	// plainSize is the header's size in bytes with timestamps: one that is
	// longer tells of segments that are missing (SACK).
	plainSize = header.TCPMinimumSize + 12
)

// ack is one that waits.
type ack struct {
	connection
	since time.Time
	ep    stack.TransportEndpoint // for Input.Acknowledge
}

// acks are those that wait, the oldest first.
type acks struct {
	waiting atomic.Int32 // len(list)
	ending  atomic.Bool  // a guest's last segment is being processed

	mu   sync.Mutex
	list []ack // guarded by mu
}

// delayAck has the acknowledgement of a segment wait that was just queued, if it
// is one of those, and tells whether it is small. processed must be called when
// the segment has been processed.
func (e *Endpoint) delayAck(ip []byte, tcp header.TCP) (small bool) {
	size := smallSize(tcp)
	if size == 0 {
		return false
	}
	c := connectionOf(ip, tcp, true)
	if !e.acks.room(c) {
		return true
	}
	if ep := e.input.Quiet(tcp.SequenceNumber(), size); ep != nil {
		// Before it is processed: should netstack say something all the
		// same, it is forgotten again.
		e.acks.add(ack{c, time.Now(), ep})
		e.acks.ending.Store(tcp.Flags().Contains(header.TCPFlagFin))
	}
	return true
}

// processed ends what delayAck began.
func (a *acks) processed() { a.ending.Store(false) }

// smallSize is how many sequence numbers a segment takes that has little data or
// is the guest's last: something is likely to be said to that. It is 0 for
// others.
func smallSize(h header.TCP) uint32 {
	n := len(h) - int(h.DataOffset())
	if n < 0 || n >= smallData {
		return 0
	}
	switch h.Flags() {
	case header.TCPFlagAck | header.TCPFlagPsh:
		return uint32(n)
	case header.TCPFlagAck | header.TCPFlagFin, header.TCPFlagAck | header.TCPFlagPsh | header.TCPFlagFin:
		return uint32(n) + 1
	}
	return 0
}

// room tells whether another one may wait, and none of this connection does.
func (a *acks) room(c connection) bool {
	if a.waiting.Load() == 0 {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.list) < maxHeld && a.find(c) < 0
}

func (a *acks) add(w ack) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = append(a.list, w)
	a.waiting.Store(int32(len(a.list)))
}

// find finds the one of a connection. It is -1 if there is none. mu is held.
func (a *acks) find(c connection) int {
	for i := range a.list {
		if a.list[i].connection == c {
			return i
		}
	}
	return -1
}

// forget drops what pkt says as well.
func (a *acks) forget(pkt *stack.PacketBuffer) {
	if a.waiting.Load() != 0 && len(pkt.TransportHeader().Slice()) >= header.TCPMinimumSize {
		a.drop(connectionOf(pkt.NetworkHeader().Slice(), pkt.TransportHeader().Slice(), false))
	}
}

// keepsBack tells whether pkt is the acknowledgement of a FIN that waits, which
// netstack makes all the same.
func (a *acks) keepsBack(pkt *stack.PacketBuffer) bool {
	if !a.ending.Load() || pkt.Data().Size() != 0 {
		return false
	}
	ip, tcp := pkt.NetworkHeader().Slice(), header.TCP(pkt.TransportHeader().Slice())
	if len(tcp) < header.TCPMinimumSize || len(tcp) > plainSize || tcp.Flags() != header.TCPFlagAck {
		return false
	}
	c := connectionOf(ip, tcp, false)
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.find(c) >= 0
}

// drop drops what waits for a connection.
func (a *acks) drop(c connection) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := a.find(c); i >= 0 {
		a.remove(i)
	}
}

// remove takes one off the list. mu is held.
func (a *acks) remove(i int) {
	a.list = append(a.list[:i], a.list[i+1:]...)
	a.list[:len(a.list)+1][len(a.list)] = ack{} // for the garbage collector
	a.waiting.Store(int32(len(a.list)))
}

// connection is its two ends, ours and the guest's.
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

// due takes the oldest one, if it has waited long enough, or any if all. It is
// nil when there is none.
func (a *acks) due(all bool) stack.TransportEndpoint {
	if a.waiting.Load() == 0 {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.list) == 0 || !all && time.Since(a.list[0].since) < ackDelay {
		return nil
	}
	ep := a.list[0].ep
	a.remove(0)
	return ep
}

// sendAcks sends those whose time has come.
func (e *Endpoint) sendAcks(all bool) {
	for ep := e.acks.due(all); ep != nil; ep = e.acks.due(all) {
		e.input.Acknowledge(ep)
	}
}
