package splice

import "sync/atomic"

// step is what a pump says when it returns.
type step int

const (
	idle     step = iota // nothing more until the next event
	again                // there is more, but others shall have their turn
	finished             // this direction has ended
)

// half is one direction of a flow. Several goroutines may learn that it can go
// on; one at a time pumps it.
type half struct {
	pump  func() step
	state atomic.Int32
}

// States of a half.
const (
	resting int32 = iota
	running
	rerun // an event came while it ran: once more
	over
)

// kick pumps h, or makes whoever pumps it do so once more.
func (h *half) kick(f *Flow) {
	for {
		switch s := h.state.Load(); s {
		case resting:
			if h.state.CompareAndSwap(resting, running) {
				h.run(f)
				return
			}
		case running:
			if h.state.CompareAndSwap(running, rerun) {
				return
			}
		default: // rerun, over
			return
		}
	}
}

func (h *half) run(f *Flow) {
	for {
		s := finished
		if !f.dead.Load() {
			s = h.pump()
		}
		switch s {
		case finished:
			h.state.Store(over)
			f.halfDone()
			return
		case again:
			h.state.Store(resting)
			if h == &f.toHost {
				f.schedule(workToHost)
			} else {
				f.schedule(workToGuest)
			}
			return
		}
		if h.state.CompareAndSwap(running, resting) {
			return
		}
		h.state.Store(running) // it was rerun
	}
}
