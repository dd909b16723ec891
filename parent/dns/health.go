package dns

import (
	"net/netip"
	"sync"
	"time"
)

// probeEvery is how often a resolver that is down is asked all the same.
const probeEvery = 5 * time.Second

// health remembers which resolvers do not answer. Its methods may be called on
// several goroutines.
type health struct {
	mu      sync.Mutex
	list    []netip.AddrPort // guarded by mu; what states are about
	ordered []netip.AddrPort // guarded by mu; nil: to be made again
	states  []state          // guarded by mu; by index in list
}

type state struct {
	down     bool
	answered time.Time // the last time
	probe    time.Time // when to ask it although it is down
}

// order returns list with those that are down at its end. If it is time to
// see whether one of them is back, probe is set: the query is to be sent there
// as well. A list that was not seen before starts afresh. The result must not
// be written to.
func (h *health) order(list []netip.AddrPort, now time.Time) (ordered []netip.AddrPort, probe netip.AddrPort) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.orderLocked(list)
	if len(list) < 2 {
		return h.ordered, probe
	}
	for i := range h.states {
		if s := &h.states[i]; s.down && !now.Before(s.probe) && list[i] != h.ordered[0] {
			s.probe = now.Add(probeEvery)
			return h.ordered, list[i]
		}
	}
	return h.ordered, probe
}

// orderOnly is order where there is no query that could be sent to see whether
// one is back.
func (h *health) orderOnly(list []netip.AddrPort) []netip.AddrPort {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.orderLocked(list)
	return h.ordered
}

func (h *health) orderLocked(list []netip.AddrPort) {
	if !same(h.list, list) {
		h.list, h.states, h.ordered = list, make([]state, len(list)), nil
	}
	if h.ordered != nil {
		return
	}
	h.ordered = make([]netip.AddrPort, 0, len(list))
	for _, down := range []bool{false, true} {
		for i, a := range list {
			if h.states[i].down == down {
				h.ordered = append(h.ordered, a)
			}
		}
	}
}

// same tells whether a and b are one slice.
func same(a, b []netip.AddrPort) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// failed notes that a has not answered what it was sent at the given time. It
// reports whether a is down now and was not before.
func (h *health) failed(a netip.AddrPort, sent, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.stateLocked(a)
	if s == nil || s.down || s.answered.After(sent) {
		return false // a single answer that is slow or lost
	}
	s.down, s.probe = true, now.Add(probeEvery)
	h.ordered = nil
	return true
}

// answered notes that a works.
func (h *health) answered(a netip.AddrPort, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.stateLocked(a)
	if s == nil {
		return
	}
	s.answered = now
	if s.down {
		s.down = false
		h.ordered = nil
	}
}

// stateLocked is nil when a is not in the list any more.
func (h *health) stateLocked(a netip.AddrPort) *state {
	for i := range h.list {
		if h.list[i] == a {
			return &h.states[i]
		}
	}
	return nil
}
