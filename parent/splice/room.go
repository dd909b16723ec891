package splice

import "sync/atomic"

// What goes to the guest is read from the host's socket only when there is room
// for it in netstack. What waits in the socket costs this process nothing, and
// the kernel holds up its sender. netstack itself takes 1 MiB of payload, and
// each write has a segment of its own in its queue, be it a single byte.

const (
	// piece is the length in bytes of a write whose segment counts.
	piece = 4 << 10
	// pieceCost is what netstack needs for a segment in its queue beside the
	// payload, in bytes, and what the garbage collector lets lie about for it.
	pieceCost = 640
	// steadyToGuest is how many bytes a guest has to take to be steady. Its
	// kernel takes less than half of that for a program that reads nothing.
	steadyToGuest = 2 << 20
)

// sendQueue is what netstack holds for the guest, as toGuest knows it.
type sendQueue struct {
	most int64 // bytes that the endpoint's buffer may hold
	held int64 // bytes that it held when room was last asked for
	// older and newer are how many pieces were written before and behind mark,
	// which moves on when the guest has taken all before it. So none that is in
	// the queue is missing; some may have left it.
	older, newer int64
	mark         int64
	steady       steadiness
	charged      bool
	// pieces is what they cost, for holdsForGuest.
	pieces atomic.Int64
}

// wrote notes a write of n bytes, and tells what it costs beside them.
func (q *sendQueue) wrote(n int64) (cost int64) {
	if n >= piece {
		return 0
	}
	q.newer++
	return pieceCost
}

// cost is what the pieces cost when the guest has taken so many bytes of those
// that were written.
func (q *sendQueue) cost(taken, written int64) int64 {
	if taken >= q.mark {
		q.older, q.newer, q.mark = q.newer, 0, written
	}
	if taken == written {
		q.older = 0
	}
	n := (q.older + q.newer) * pieceCost
	q.pieces.Store(n)
	return n
}

// room is how many of n bytes may be written to netstack now. When it is 0,
// netstack tells when there is some again. toGuest calls it.
//
// It is half of what may be held at most: of a single segment, behind a request,
// Linux waits 40 ms before it acknowledges it, and only then would there be room
// for another one.
func (f *Flow) room(n int) int {
	q, pool := &f.sendQueue, &f.cfg.Memory.toGuest
	want := min(int64(n), piece) // no crumbs of what is more
	for {
		written, queued := int64(f.intoGuest.Load()), queued(f.ep)
		taken := written - queued
		q.held = queued + q.cost(taken, written)
		steady := q.steady.has(steadyToGuest, taken)
		limit, short := pool.limit(f, steady, q.most)
		if short && q.held+want > limit {
			pool.review((*Flow).holdsForGuest)
			limit, _ = pool.limit(f, steady, q.most)
		}
		if free := limit - q.held; free >= want {
			q.steady.goOn(taken)
			f.sizeSendBuffer(limit)
			return int(min(int64(n), free, max(limit/2, piece)))
		}
		q.steady.stop()
		if f.wakeBelow(min(limit, queued)) {
			return 0
		}
	}
}

// wakeBelow has netstack tell when it holds less than half of n bytes, and
// reports false if that is so already. It tells once, and only if its buffer
// was half full before.
func (f *Flow) wakeBelow(n int64) bool {
	n = max(n, 2)
	f.sizeSendBuffer(n)
	return queued(f.ep) >= n/2
}

// sizeSendBuffer sets how much payload netstack takes. It is said each time:
// when netstack tells that there is room, it sets the size again that it had
// looked at before.
func (f *Flow) sizeSendBuffer(n int64) { f.ep.SocketOptions().SetSendBufferSize(n, false) }

// initSendQueue begins the account of the endpoint's send buffer, whose size is
// ours to set from then on.
func (f *Flow) initSendQueue() {
	o := f.ep.SocketOptions()
	f.sendQueue.most = o.GetSendBufferSize()
	o.SetSendBufferSize(f.sendQueue.most, true)
}

// wrote notes that netstack was given so many bytes, for which there was room.
func (f *Flow) wrote(n int64) {
	q := &f.sendQueue
	held := q.held + n + q.wrote(n)
	// Who holds next to nothing is within the least that each may hold.
	if q.charged || held > piece {
		q.charged = true
		f.cfg.Memory.toGuest.charge(f, held)
	}
}

// holdsForGuest is how many bytes netstack holds for the guest, no less.
func (f *Flow) holdsForGuest() int64 {
	n := queued(f.ep)
	if n == 0 {
		return 0
	}
	return n + f.sendQueue.pieces.Load()
}
