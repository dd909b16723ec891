package link

import (
	"net/netip"
	"time"
)

const (
	// maxRequests and askEvery are those of RFC 4861, section 10, for
	// multicast and for unicast, and of Linux for ARP.
	maxRequests = 3
	askEvery    = time.Second
	// lookEvery is how often it is looked who is silent. Who is sent something
	// may be until the next time, and then once more as long.
	lookEvery = 10 * time.Second

	// maxAsked bounds the addresses that are asked for and not known. With one
	// more the oldest is given up.
	maxAsked = 128
	// maxWaiting and maxWaitingSize, in bytes, bound the frames that wait for
	// one address. With more the oldest is dropped (RFC 4861, section 7.2.2).
	maxWaiting     = 16
	maxWaitingSize = 64 << 10
)

// wait keeps a frame for a until that is known.
func (n *neighbours) wait(a netip.Addr, frame []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	e := n.table[a]
	if e != nil && e.known { // just now
		copy(frame, e.mac[:])
		n.send(frame)
		return
	}
	if e == nil {
		e = n.wantLocked(a)
	}
	e.waiting = append(e.waiting, frame)
	e.size += len(frame)
	for len(e.waiting) > maxWaiting || len(e.waiting) > 1 && e.size > maxWaitingSize {
		e.size -= len(e.waiting[0])
		e.waiting[0] = nil
		e.waiting = e.waiting[1:]
		n.dropped.Add(1)
	}
}

// wantLocked asks for an address that is not in the table.
func (n *neighbours) wantLocked(a netip.Addr) *neighbour {
	if n.asked.Len() >= maxAsked {
		waited := n.forgetLocked(n.asked.Front().Value.(*neighbour))
		n.dropped.Add(uint64(len(waited)))
	}
	e := &neighbour{addr: a}
	e.place = n.asked.PushBack(e)
	n.table[a] = e
	n.requestLocked(e)
	return e
}

// requestLocked sends a request: to who has the address, and otherwise to all.
func (n *neighbours) requestLocked(e *neighbour) {
	e.requests++
	to := broadcastMAC
	if e.known && e.said {
		to = e.mac
	}
	n.ask(e.addr, to)
	if e.timer == nil {
		e.timer = time.AfterFunc(askEvery, func() { n.unanswered(e) })
	} else {
		e.timer.Reset(askEvery)
	}
}

// answered ends the requests.
func (e *neighbour) answered() {
	e.requests = 0
	if e.timer != nil {
		e.timer.Stop()
		e.timer = nil
	}
}

// unanswered asks again, or gives up.
func (n *neighbours) unanswered(e *neighbour) {
	n.mu.Lock()
	var waited [][]byte
	switch {
	case n.table[e.addr] != e || e.requests == 0 || n.closed:
		// It was answered while the timer ran out.
	case e.requests < maxRequests:
		n.requestLocked(e)
	case e.known && !e.said:
		e.answered() // it never was one to answer
	default:
		waited = n.forgetLocked(e)
	}
	n.mu.Unlock()
	for _, f := range waited {
		n.fail(f)
	}
}

// watchLocked has the table looked at in some time.
func (n *neighbours) watchLocked() {
	if n.look == nil && !n.closed {
		n.look = time.AfterFunc(lookEvery, n.lookAround)
	}
}

// lookAround asks those that something was sent to and nothing came from.
func (n *neighbours) lookAround() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.look = nil
	if n.closed {
		return
	}
	for _, e := range n.table {
		if !e.known {
			continue
		}
		switch {
		case e.heard || e.requests != 0:
			e.silent = false
		case e.silent:
			e.silent = false
			n.requestLocked(e)
		case e.used:
			e.silent = true
		}
		if e.used || e.silent {
			n.watchLocked()
		}
		e.used, e.heard = false, false
	}
}

// close ends all that waits.
func (n *neighbours) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	for _, e := range n.table {
		e.answered()
		e.waiting = nil
	}
	if n.look != nil {
		n.look.Stop()
	}
}
