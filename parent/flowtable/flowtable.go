// Package flowtable is a bounded table of flows that end when they have been
// idle for long enough, or when a new one needs the place.
//
// A flow is fresh until it was answered, and assured when it was used again
// after that. A full table gives up the least recently used fresh flow, else
// an answered one, and an assured one only when there is nothing else: neither
// a port scan nor a storm of queries pushes out what works, be it answered or
// not. But an eighth of the table is for fresh flows, lest each new one push
// out the last before its answer has come.
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
	ranks   [ranks]list.List    // guarded by mu; of *entry, oldest use first
	timer   *time.Timer         // guarded by mu; nil while the table is empty
	closed  bool                // guarded by mu
	total   uint64              // guarded by mu; put so far
	evicted uint64              // guarded by mu; given up for another
}

// Ranks of flows: those of a lower one are given up first.
const (
	fresh = iota
	answered
	assured
	ranks
)

// freshShare is the part of a table that fresh flows have.
const freshShare = 8

type entry[K comparable, V any] struct {
	key  K
	flow V
	put  time.Duration // Put's idle
	idle time.Duration // what holds now
	used time.Time
	rank int

	since time.Time
}

// New makes a table of at most max flows. ended is called, without a lock,
// once for each flow that leaves the table.
func New[K comparable, V any](max int, ended func(V)) *Table[K, V] {
	return &Table[K, V]{max: max, ended: ended, now: time.Now, entries: make(map[K]*list.Element)}
}

// Get returns the flow of key and counts as a use of it. Its idle time is
// again what Put was given.
func (t *Table[K, V]) Get(key K) (V, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	el, ok := t.entries[key]
	if !ok {
		var zero V
		return zero, false
	}
	e := el.Value.(*entry[K, V])
	e.used, e.idle = t.now(), e.put
	rank := e.rank
	if rank == answered {
		rank = assured
	}
	t.rankLocked(el, rank)
	return e.flow, true
}

// rankLocked makes el the most recently used of a rank.
func (t *Table[K, V]) rankLocked(el *list.Element, rank int) {
	e := el.Value.(*entry[K, V])
	if e.rank == rank {
		t.ranks[rank].MoveToBack(el)
		return
	}
	t.ranks[e.rank].Remove(el)
	e.rank = rank
	t.entries[e.key] = t.ranks[rank].PushBack(e)
}

// victimLocked is whom a full table gives up.
func (t *Table[K, V]) victimLocked() *list.Element {
	if el := t.ranks[fresh].Front(); el != nil && t.ranks[fresh].Len() > t.max/freshShare {
		return el
	}
	if el := t.ranks[answered].Front(); el != nil {
		return el
	}
	if el := t.ranks[assured].Front(); el != nil {
		return el
	}
	return t.ranks[fresh].Front()
}

// Put adds a fresh flow that ends when it has not been used for idle. A flow
// that has the same key ends now, as does one of a full table. After Close the
// new flow itself ends at once.
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
	if len(t.entries) >= t.max {
		gone = append(gone, t.removeLocked(t.victimLocked()))
		t.evicted++
	}
	now := t.now()
	t.total++
	t.entries[key] = t.ranks[fresh].PushBack(&entry[K, V]{key: key, flow: flow, put: idle, idle: idle, used: now, since: now})
	if t.timer == nil {
		t.timer = time.AfterFunc(tick, t.expire)
	}
	t.mu.Unlock()
	for _, v := range gone {
		t.ended(v)
	}
}

// Answered counts as a use of key's flow by its other side. Its idle time
// becomes idle, until the next Get.
func (t *Table[K, V]) Answered(key K, idle time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	el, ok := t.entries[key]
	if !ok {
		return
	}
	e := el.Value.(*entry[K, V])
	e.used, e.idle = t.now(), idle
	t.rankLocked(el, max(e.rank, answered))
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
	return len(t.entries)
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
	for _, el := range t.entries {
		gone = append(gone, t.removeLocked(el))
	}
	t.mu.Unlock()
	for _, v := range gone {
		t.ended(v)
	}
}

func (t *Table[K, V]) removeLocked(el *list.Element) V {
	e := el.Value.(*entry[K, V])
	t.ranks[e.rank].Remove(el)
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
	for _, el := range t.entries {
		if e := el.Value.(*entry[K, V]); now.Sub(e.used) >= e.idle {
			gone = append(gone, t.removeLocked(el))
		}
	}
	if len(t.entries) > 0 {
		t.timer = time.AfterFunc(tick, t.expire)
	} else {
		t.timer = nil
	}
	t.mu.Unlock()
	for _, v := range gone {
		t.ended(v)
	}
}
