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
	all := make([]*Flow, 0, o.list.Len())
	for el := o.list.Front(); el != nil; el = el.Next() {
		all = append(all, el.Value.(*Flow))
	}
	o.mu.Unlock()
	for _, f := range all {
		f.cut()
	}
}

// add takes f in, until its endpoint has ended.
func (o *Orphans) add(f *Flow) {
	var victim *Flow
	o.mu.Lock()
	f.orphan = o.list.PushBack(f)
	if o.closed {
		victim = f
	} else if o.list.Len() > o.max {
		victim = o.list.Front().Value.(*Flow)
	}
	o.mu.Unlock()
	if victim != nil {
		victim.cut()
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
	if f.orphan == nil {
		return false
	}
	o.list.Remove(f.orphan)
	f.orphan = nil
	return true
}
