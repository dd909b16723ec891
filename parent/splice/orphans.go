package splice

import (
	"container/list"
	"sync"
)

// MaxOrphans bounds the connections of one kind whose host side is closed while
// the guest has not taken all of it. Each may hold a send buffer.
const MaxOrphans = 1024

// Orphans are Flows that have outlived their socket: what the host's side sent
// last is still on its way to the guest. Linux bounds its own, too
// (tcp_max_orphans, tcp(7)).
type Orphans struct {
	max int

	mu     sync.Mutex
	list   list.List // guarded by mu; of *Flow, oldest first
	closed bool      // guarded by mu
}

// NewOrphans makes room for max of them. The oldest one makes room for a new
// one, and its guest sees RST.
func NewOrphans(max int) *Orphans { return &Orphans{max: max} }

// Len is how many there are.
func (o *Orphans) Len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.list.Len()
}

// Close resets all of them, and those to come.
func (o *Orphans) Close() {
	o.mu.Lock()
	o.closed = true
	all := o.shrinkLocked(0)
	o.mu.Unlock()
	abort(all)
}

// add takes f in, until its endpoint has ended.
func (o *Orphans) add(f *Flow) {
	o.mu.Lock()
	f.orphan = o.list.PushBack(f)
	room := o.max
	if o.closed {
		room = 0
	}
	victims := o.shrinkLocked(room)
	o.mu.Unlock()
	abort(victims)
}

// shrinkLocked takes out the oldest ones until there are no more than n, and
// returns them. They are the caller's to abort, without the lock: an endpoint
// that ends calls remove.
func (o *Orphans) shrinkLocked(n int) (out []*Flow) {
	for o.list.Len() > n {
		f := o.list.Front().Value.(*Flow)
		o.removeLocked(f)
		out = append(out, f)
	}
	return out
}

// abort resets Flows that were taken out.
func abort(flows []*Flow) {
	for _, f := range flows {
		f.ep.Abort()
		f.ep.Close()
	}
}

// has tells whether f is there.
func (o *Orphans) has(f *Flow) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return f.orphan != nil
}

// remove forgets f, and reports whether it was there.
func (o *Orphans) remove(f *Flow) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.removeLocked(f)
}

func (o *Orphans) removeLocked(f *Flow) bool {
	if f.orphan == nil {
		return false
	}
	o.list.Remove(f.orphan)
	f.orphan = nil
	f.cfg.Memory.toGuest.charge(f, 0)
	f.unlimit()
	return true
}

// cut resets f, unless it has left.
func (o *Orphans) cut(f *Flow) {
	if o.remove(f) {
		abort([]*Flow{f})
	}
}
