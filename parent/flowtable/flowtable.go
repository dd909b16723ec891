// Package flowtable is a bounded table of flows that end when they have been
// idle for long enough, or when they are the least recently used and a new one
// needs the place.
//
// Who calls it: outbound and dns. It has a timer only while it has entries, so
// an idle data plane does not wake up.
package flowtable

import (
	"container/list"
	"sync"
	"time"
)

// tick is how often idle entries are looked for: what an idle time-out may be
// late by.
const tick = 5 * time.Second

// Table maps keys to flows. Its methods may be called on several goroutines.
type Table[K comparable, V any] struct {
	max   int
	ended func(V)
	now   func() time.Time

	mu      sync.Mutex
	entries map[K]*list.Element // guarded by mu
	lru     *list.List          // guarded by mu; of *entry, oldest use first
	timer   *time.Timer         // guarded by mu; nil while the table is empty
	closed  bool                // guarded by mu
}

type entry[K comparable, V any] struct {
	key  K
	flow V
	idle time.Duration
	used time.Time
}

// New makes a table of at most max flows. ended is called, without a lock,
// once for each flow that leaves the table.
func New[K comparable, V any](max int, ended func(V)) *Table[K, V] {
	return &Table[K, V]{
		max:     max,
		ended:   ended,
		now:     time.Now,
		entries: make(map[K]*list.Element),
		lru:     list.New(),
	}
}

// Get returns the flow of key and counts as a use of it.
func (t *Table[K, V]) Get(key K) (V, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	el, ok := t.entries[key]
	if !ok {
		var zero V
		return zero, false
	}
	e := el.Value.(*entry[K, V])
	e.used = t.now()
	t.lru.MoveToBack(el)
	return e.flow, true
}

// Put adds a flow that ends when it has not been used for idle. A flow that
// has the same key ends now, as does the least recently used one of a full
// table. After Close the new flow itself ends at once.
func (t *Table[K, V]) Put(key K, flow V, idle time.Duration) {
	var gone []V
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		t.ended(flow)
		return
	}
	if el, ok := t.entries[key]; ok {
		gone = append(gone, t.removeLocked(el))
	}
	if t.lru.Len() >= t.max {
		gone = append(gone, t.removeLocked(t.lru.Front()))
	}
	t.entries[key] = t.lru.PushBack(&entry[K, V]{key: key, flow: flow, idle: idle, used: t.now()})
	if t.timer == nil {
		t.timer = time.AfterFunc(tick, t.expire)
	}
	t.mu.Unlock()
	for _, v := range gone {
		t.ended(v)
	}
}

// Touch counts as a use of key's flow, whose idle time becomes idle.
func (t *Table[K, V]) Touch(key K, idle time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if el, ok := t.entries[key]; ok {
		e := el.Value.(*entry[K, V])
		e.used, e.idle = t.now(), idle
		t.lru.MoveToBack(el)
	}
}

// Remove ends key's flow.
func (t *Table[K, V]) Remove(key K) {
	t.mu.Lock()
	el, ok := t.entries[key]
	if !ok {
		t.mu.Unlock()
		return
	}
	v := t.removeLocked(el)
	t.mu.Unlock()
	t.ended(v)
}

// Len is the number of flows.
func (t *Table[K, V]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lru.Len()
}

// Close ends all flows, and those that are yet to come.
func (t *Table[K, V]) Close() {
	t.mu.Lock()
	t.closed = true
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	var gone []V
	for t.lru.Len() > 0 {
		gone = append(gone, t.removeLocked(t.lru.Front()))
	}
	t.mu.Unlock()
	for _, v := range gone {
		t.ended(v)
	}
}

func (t *Table[K, V]) removeLocked(el *list.Element) V {
	e := t.lru.Remove(el).(*entry[K, V])
	delete(t.entries, e.key)
	return e.flow
}

// expire ends what has been idle for too long.
func (t *Table[K, V]) expire() {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return
	}
	var gone []V
	now := t.now()
	// Idle times differ, so age alone does not order the list.
	for el := t.lru.Front(); el != nil; {
		next := el.Next()
		if e := el.Value.(*entry[K, V]); now.Sub(e.used) >= e.idle {
			gone = append(gone, t.removeLocked(el))
		}
		el = next
	}
	if t.lru.Len() > 0 {
		t.timer = time.AfterFunc(tick, t.expire)
	} else {
		t.timer = nil
	}
	t.mu.Unlock()
	for _, v := range gone {
		t.ended(v)
	}
}
