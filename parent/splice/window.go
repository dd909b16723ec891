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
	if b.size >= b.most {
		return
	}
	limit, _ := pool.limit(f, b.steady.has(steadyToHost, gone), b.most)
	if limit <= b.size {
		return
	}
	pool.charge(f, limit-pool.least)
	b.size = limit
	f.ep.SocketOptions().SetReceiveBufferSize(limit, true)
}
