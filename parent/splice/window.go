package splice

import "time"

// What the guest may send before the host's socket takes it is decided by the
// receive buffer of the endpoint: a window, once open, is the guest's to fill,
// now or later. So it begins small, and opens for those that use it.
//
// It is never made smaller again, for connections that stand still neither:
// netstack would drop what the guest may still send, and Linux, once it was told
// of a large window, does not cut its segments to fit a small one, but waits for
// a time-out with each. Requests of 100 KiB in turn over 120 connections took a
// second each while others' windows were taken back.
//
// A window that was opened for one whose host sleeps may be filled, and stays
// full. A kernel acknowledges for a program that reads nothing no more than its
// receive buffer is at first (128 KiB, tcp_rmem); that grows only when it is
// read. So who has had more acknowledged, and in a short time, has shown that
// somebody reads and that a window is of use; and such windows, which are empty
// where the peer is as fast as the guest, have a larger pool for their own. Idle
// connections leave a new one its speed, up to some 250 of 1 MiB: 48 made it 12
// times slower while all were in one pool.

const (
	// provenToHost is how many bytes the host's peer has acknowledged when the
	// window is of the larger pool: within provenWithin, and without a pause. Who
	// takes less than some 10 Mbit/s pauses each time that our socket is full
	// (hostsock.SetStreamOptions), and has no use for a window; nor has who sends
	// little.
	provenToHost = 256 << 10
	provenWithin = 500 * time.Millisecond
	// askEvery is after how many bytes more is asked for.
	askEvery = 64 << 10
)

// receiveBuffer is that of the endpoint, as toHost knows it.
type receiveBuffer struct {
	most   int64 // bytes that it may have
	size   int64
	next   int64 // bytes from the guest after which more is asked for
	steady steadiness
	from   int64     // bytes that had been acknowledged
	at     time.Time // then
	proven bool      // it is of the larger pool
}

// initReceiveBuffer learns what the endpoint was made with.
func (f *Flow) initReceiveBuffer() {
	b, o := &f.receiveBuffer, f.ep.SocketOptions()
	b.size = o.GetReceiveBufferSize()
	_, b.most = o.ReceiveBufferLimits()
	b.next = LeastToHost / 2
	b.at = time.Now()
}

// openWindow lets a guest send more at once whose bytes the host takes. toHost
// calls it when there is nothing left in the endpoint's queue. netstack tells a
// guest whose window was closed that it is open when some room is left behind; a
// larger buffer would be that room, and nothing would be said.
func (f *Flow) openWindow() {
	b := &f.receiveBuffer
	if b.steady.stopped() {
		b.steady.goOn(f.passedOn())
	}
	passed := int64(f.fromGuest.Load())
	if passed < b.next {
		return
	}
	b.next = passed + askEvery
	if b.size >= b.most && b.proven {
		return
	}
	m := f.cfg.Memory
	size, ok := b.size, b.proven || b.proves(f.passedOn())
	if ok {
		if size, ok = m.proven.grow(f, b.size, b.most); ok && !b.proven {
			b.proven = true
			m.toHost.charge(f, 0)
		}
	}
	if !b.proven {
		size, _ = m.toHost.grow(f, b.size, b.most)
	}
	if size > b.size {
		b.size = size
		f.ep.SocketOptions().SetReceiveBufferSize(size, true)
	}
}

// proves tells whether so many bytes, acknowledged by now, prove that a larger
// window is of use.
func (b *receiveBuffer) proves(acknowledged int64) bool {
	now := time.Now()
	if paused := b.steady.from > b.from; paused || now.Sub(b.at) > provenWithin {
		b.from, b.at = acknowledged, now
	}
	return acknowledged-b.from >= provenToHost
}

// closeWindow ends the account: nothing more is to come, or to stay.
func (f *Flow) closeWindow() {
	f.cfg.Memory.toHost.charge(f, 0)
	f.cfg.Memory.proven.charge(f, 0)
}

// passedOn is how many bytes of the guest's the host's peer has acknowledged.
func (f *Flow) passedOn() int64 { return int64(f.fromGuest.Load()) - outq(f.fd) }
