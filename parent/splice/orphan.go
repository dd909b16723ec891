package splice

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// A reset that waits for what came before it is looked after by a timer, at
// first this often, then half as often each time; in rest.go as well.
const (
	firstLook = time.Millisecond
	rareLook  = time.Second
)

// leave ends a Flow whose halves have ended, and leaves to netstack what the
// guest has not acknowledged, for Times.Orphan: the FIN that was queued behind
// it, or the RST that takes its place.
func (f *Flow) leave() {
	f.limit()
	f.orphaned.Store(true)
	f.cfg.Orphans.add(f)
	if f.dead.Load() { // since just now
		f.cfg.Orphans.cut(f)
		return
	}
	if f.resetGuest.Load() {
		f.resetLater(firstLook)
		return
	}
	f.ep.Close() // NotifyEvent hears of the end, maybe at once
}

// resetLater resets the guest when it has acknowledged everything. netstack
// would drop the rest. A host's kernel lets its program read what came before
// the RST; so may the guest's.
func (f *Flow) resetLater(wait time.Duration) {
	if f.delivered() {
		f.cfg.Orphans.cut(f)
		return
	}
	time.AfterFunc(wait, func() {
		if f.cfg.Orphans.has(f) {
			f.resetLater(min(2*wait, rareLook))
		} else {
			f.ep.Close() // the guest was first, or it took too long
		}
	})
}

// delivered tells whether netstack has nothing more to send. Behind a FIN its
// state says so.
func (f *Flow) delivered() bool {
	switch tcp.EndpointState(f.ep.State()) {
	case tcp.StateFinWait1, tcp.StateClosing, tcp.StateLastAck:
		return false
	case tcp.StateFinWait2, tcp.StateTimeWait, tcp.StateClose, tcp.StateError:
		return true
	}
	return queued(f.ep) == 0
}
