package flowtable

import "time"

// State is what Each tells of a flow.
type State struct {
	Since    time.Time
	Answered bool // ever
}

// Each calls f for every flow that there is when it is called, without a lock:
// some may have ended by the time.
func (t *Table[K, V]) Each(f func(K, V, State)) {
	type one struct {
		key   K
		flow  V
		state State
	}
	t.mu.Lock()
	all := make([]one, 0, len(t.entries))
	for _, el := range t.entries {
		e := el.Value.(*entry[K, V])
		all = append(all, one{e.key, e.flow, State{Since: e.since, Answered: e.rank != fresh}})
	}
	t.mu.Unlock()
	for _, o := range all {
		f(o.key, o.flow, o.state)
	}
}

// Total is how many flows were put into the table so far.
func (t *Table[K, V]) Total() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.total
}

// Evicted is how many of them a full table gave up.
func (t *Table[K, V]) Evicted() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.evicted
}
