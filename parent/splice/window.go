package splice

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
// read. So who has had more acknowledged has shown that somebody reads, and such
// windows, most of which are empty at any time, have a larger pool for their
// own. Many idle connections leave a new one its speed: 48 of 20 MiB each made
// it 12 times slower while all were in one pool.

const (
	// provenToHost is how many bytes the host's peer has acknowledged, without
	// a pause, when its window is of the larger pool. A peer that is slower than
	// the guest pauses each time that the kernel's send buffer is full, and has
	// no use for a window.
	provenToHost = 256 << 10
	// askEvery is after how many bytes more is asked for.
	askEvery = 64 << 10
)

// receiveBuffer is that of the endpoint, as toHost knows it.
type receiveBuffer struct {
	most   int64 // bytes that it may have
	size   int64
	next   int64 // bytes from the guest after which more is asked for
	steady steadiness
	proven bool
}

// initReceiveBuffer learns what the endpoint was made with.
func (f *Flow) initReceiveBuffer() {
	b, o := &f.receiveBuffer, f.ep.SocketOptions()
	b.size = o.GetReceiveBufferSize()
	_, b.most = o.ReceiveBufferLimits()
	b.next = LeastToHost / 2
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
	if !b.proven && b.steady.has(provenToHost, f.passedOn()) {
		b.proven = true
		m.toHost.charge(f, 0)
	}
	pool := &m.toHost
	if b.proven {
		pool = &m.proven
	}
	limit, _ := pool.limit(f, false, b.most)
	if limit > b.size {
		b.size = limit
		f.ep.SocketOptions().SetReceiveBufferSize(limit, true)
	}
	pool.charge(f, b.size-pool.least)
}

// closeWindow ends the account: nothing more is to come, or to stay.
func (f *Flow) closeWindow() {
	f.cfg.Memory.toHost.charge(f, 0)
	f.cfg.Memory.proven.charge(f, 0)
}

// passedOn is how many bytes of the guest's the host's peer has acknowledged.
func (f *Flow) passedOn() int64 { return int64(f.fromGuest.Load()) - outq(f.fd) }
