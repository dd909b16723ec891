package splice

import "time"

// A guest has Times.Orphan to take what is left for it by a socket of the host
// that is closed or has failed. The time begins with that end and begins again
// whenever netstack takes something from a failed socket, or a guest that writes
// is seen to take something; the last that netstack has, 1 MiB at most, has one
// such time from a guest that does not write. It is not netstack's own time-out
// (TCP_USER_TIMEOUT): that counts from when the guest stopped to take anything,
// which may be long before, and then there would be no time at all.

// limit lets the time begin, or begin again.
func (f *Flow) limit() {
	f.beginProgress()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.limited == nil {
		f.limited = time.AfterFunc(f.cfg.times().Orphan, f.overdue)
	}
}

// unlimit ends it, when there is nothing left.
func (f *Flow) unlimit() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.limited != nil {
		f.limited.Stop()
		f.limited = nil
	}
}

// overdue is called when the time may be over.
func (f *Flow) overdue() {
	if f.waitsOn() {
		return
	}
	f.giveUp()
}

// waitsOn tells whether there is no need to give up, or not yet.
func (f *Flow) waitsOn() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.limited == nil {
		return true // it has just ended
	}
	left := f.cfg.times().Orphan - f.idleFor()
	if left <= 0 {
		return false
	}
	f.limited.Reset(left)
	return true
}

// guestTook notes that the guest has just taken something, or begins to have
// something to take.
func (f *Flow) guestTook() { f.taken.Store(int64(time.Since(f.since))) }

// idleFor is for how long the guest has taken nothing.
func (f *Flow) idleFor() time.Duration {
	return time.Since(f.since) - time.Duration(f.taken.Load())
}

// giveUp resets a guest that does not take the rest, which is lost.
func (f *Flow) giveUp() {
	f.die()
	if f.orphaned.Load() {
		f.cfg.Orphans.cut(f)
	}
	// If it becomes an orphan just now, leave sees that it is dead.
}
