package splice

import (
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// What the guest may send before the host's socket takes it is decided by the
// receive buffer of the endpoint: a window, once open, is the guest's to fill,
// now or later. So it begins small, and opens for those that use it. Should
// others need the room, it is taken back from those that do not: what they send
// beyond it is dropped, unless the host takes it as it comes.

const (
	// steadyToHost is how many bytes the host's side has to take to be steady:
	// what the kernels at both ends take when nobody reads (4 MiB, tcp_wmem,
	// and 6 MiB, tcp_rmem), and more.
	steadyToHost = 16 << 20
	// askEvery is after how many bytes more is asked for.
	askEvery = 256 << 10
)

// receiveBuffer is that of the endpoint, as toHost knows it.
type receiveBuffer struct {
	most   int64 // bytes that it may have
	size   int64
	next   int64 // bytes from the guest after which more is asked for
	steady steadiness
	// taken says that it was made small again.
	taken atomic.Bool
	// seen is how many bytes had come from the guest at the last review.
	seen int64
}

// initReceiveBuffer learns what the endpoint was made with.
func (f *Flow) initReceiveBuffer() {
	b, o := &f.receiveBuffer, f.ep.SocketOptions()
	b.size = o.GetReceiveBufferSize()
	_, b.most = o.ReceiveBufferLimits()
	b.next = LeastToHost / 2
}

// openWindow lets a guest send more at once whose bytes the host takes. toHost
// calls it.
func (f *Flow) openWindow() {
	b, pool := &f.receiveBuffer, &f.cfg.Memory.toHost
	b.steady.goOn()
	gone := int64(f.fromGuest.Load())
	if gone < b.next {
		return
	}
	b.next = gone + askEvery
	if b.taken.Swap(false) {
		b.size = pool.least
	}
	if b.size >= b.most {
		return
	}
	steady := b.steady.has(steadyToHost, gone)
	limit, short := pool.limit(f, steady, b.most)
	if short {
		pool.review((*Flow).holdsForHost, (*Flow).closeWindow)
		limit, _ = pool.limit(f, steady, b.most)
	}
	if limit <= b.size {
		return
	}
	pool.charge(f, limit-pool.least)
	b.size = limit
	f.ep.SocketOptions().SetReceiveBufferSize(limit, true)
	if b.taken.Load() { // just now
		pool.charge(f, 0)
		f.closeWindow()
	}
}

// holdsForHost is what f is charged, or nothing if the guest has sent nothing
// since the last review and all that it had sent is with the host.
func (f *Flow) holdsForHost(charged int64) int64 {
	b, came := &f.receiveBuffer, int64(f.fromGuest.Load())
	idle := came == b.seen
	b.seen = came
	if !idle {
		return charged
	}
	if n, err := f.ep.GetSockOptInt(tcpip.ReceiveQueueSizeOption); err == nil && n != 0 {
		return charged
	}
	return 0
}

// closeWindow makes the receive buffer small again.
func (f *Flow) closeWindow() {
	f.ep.SocketOptions().SetReceiveBufferSize(LeastToHost, false)
	f.receiveBuffer.taken.Store(true)
}
