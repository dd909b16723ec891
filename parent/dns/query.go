package dns

import (
	"bytes"
	"container/list"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// query is one that waits for its answer. Its fields are guarded by the
// relay's lock.
type query struct {
	flow  *flow
	id    uint16
	msg   []byte           // as it came; nil: too large to be kept
	list  []netip.AddrPort // what order was made of
	order []netip.AddrPort // the resolvers, in the order in which they are asked
	next  int              // index in order of the next one
	asked uint32           // by index in order: those that may still answer
	sent  time.Time        // to order[next-1]
	// answer is that of the first resolver that has said that it has none; it
	// is the guest's if nobody has a better one.
	answer []byte

	queue    *list.List // Relay.waiting, Relay.last or nil
	element  *list.Element
	deadline time.Time
}

// startLocked makes a new query, or one that the guest has sent again, begin
// with the first resolver of a list. msg is not kept.
func (r *Relay) startLocked(q *query, list []netip.AddrPort, msg []byte, now time.Time) {
	order, probe := r.health.order(list, now)
	q.unlist()
	kept := q.msg[:0]
	q.msg, q.list, q.order, q.next, q.asked, q.answer = msg, list, order, 0, 0, nil
	if probe.IsValid() {
		r.sendLocked(q, probe)
	}
	r.advanceLocked(q, now)
	if len(msg) <= maxKept {
		q.msg = append(kept, msg...)
		return
	}
	q.msg = nil
	if q.queue == r.waiting {
		q.order = q.order[:q.next]
		r.waitLocked(q, now)
	}
}

// enlist puts q at the end of a queue, in which all wait equally long.
func (q *query) enlist(queue *list.List, deadline time.Time) {
	q.unlist()
	q.queue, q.deadline = queue, deadline
	q.element = queue.PushBack(q)
}

func (q *query) unlist() {
	if q.queue != nil {
		q.queue.Remove(q.element)
		q.queue, q.element = nil, nil
	}
}

// current is the resolver that q was sent to last.
func (q *query) current() netip.AddrPort { return q.order[q.next-1] }

// expect sets whether a resolver may still answer.
func (q *query) expect(a netip.AddrPort, answer bool) {
	i := slices.Index(q.order, a)
	if i < 0 {
		return
	}
	if answer {
		q.asked |= 1 << i
	} else {
		q.asked &^= 1 << i
	}
}

// advanceLocked sends a query to the next of its resolvers that takes it.
// After the last one it waits for those that were asked, or ends.
func (r *Relay) advanceLocked(q *query, now time.Time) {
	for q.next < len(q.order) {
		to := q.order[q.next]
		q.next++
		if errno := r.sendLocked(q, to); !unusable(errno) {
			q.sent = now
			break
		}
		r.health.failed(to, now, now)
	}
	r.waitLocked(q, now)
}

// waitLocked lets a query wait for its answer, or for a better one, or ends it
// if there can be none.
func (r *Relay) waitLocked(q *query, now time.Time) {
	switch {
	case q.next < len(q.order), q.asked != 0 && q.answer != nil:
		q.enlist(r.waiting, now.Add(failover))
	case q.asked != 0:
		q.enlist(r.last, now.Add(patience))
	default:
		r.concludeLocked(q)
		return
	}
	r.armLocked(q.deadline)
	r.armLocked(now.Add(recheck))
}

// followLocked makes queries that wait begin anew if servers are others than
// theirs: resolv.conf has changed, and who was asked may be out of reach. An
// answer from there still counts. A query that was not kept stays as it is.
func (r *Relay) followLocked(servers []netip.AddrPort, now time.Time) {
	if len(servers) == 0 {
		return
	}
	var others []*query
	for _, queue := range []*list.List{r.waiting, r.last} {
		for el := queue.Front(); el != nil; el = el.Next() {
			if q := el.Value.(*query); q.msg != nil && !same(q.list, servers) {
				others = append(others, q)
			}
		}
	}
	for _, q := range others {
		if q.queue != nil { // it has not had to make room
			r.startLocked(q, servers, q.msg, now)
		}
	}
}

// concludeLocked ends a query that nobody will answer any more.
func (r *Relay) concludeLocked(q *query) {
	f := q.flow
	if q.answer != nil {
		r.send(f.via, f.guest, q.answer)
	} else if q.asked == 0 {
		r.cfg.Unreachable(f.guest, f.via, q.msg, unix.ECONNREFUSED)
	}
	r.forgetLocked(q)
}

// answerLocked takes an answer of a resolver for a port of the guest.
func (r *Relay) answerLocked(f *flow, from netip.AddrPort, b []byte) {
	now := r.now()
	r.health.answered(from, now)
	id := messageID(b)
	i := slices.IndexFunc(f.queries, func(q *query) bool { return q.id == id })
	if i < 0 {
		return // somebody was faster
	}
	q := f.queries[i]
	if hasNoAnswer(b) {
		q.expect(from, false)
		if q.answer == nil {
			q.answer = bytes.Clone(b)
		}
		if q.next < len(q.order) || q.asked != 0 {
			r.betterLocked(q, from, now)
			return
		}
		b = q.answer
	}
	r.send(f.via, f.guest, b)
	r.forgetLocked(q)
}

// betterLocked looks for a better answer than that of a resolver that had none.
func (r *Relay) betterLocked(q *query, than netip.AddrPort, now time.Time) {
	switch {
	case q.next == len(q.order):
		r.waitLocked(q, now)
	case q.current() == than:
		r.advanceLocked(q, now)
	}
}

// refusedLocked takes it that a resolver cannot be reached, as the kernel has
// said about a socket of f.
func (r *Relay) refusedLocked(f *flow, by netip.AddrPort) {
	now := r.now()
	down := r.health.failed(by, now, now)
	for _, q := range slices.Clone(f.queries) {
		q.expect(by, false)
		switch {
		case q.next > 0 && q.next < len(q.order) && q.current() == by:
			r.advanceLocked(q, now)
		case q.next == len(q.order) && q.asked == 0:
			r.concludeLocked(q)
		}
	}
	if down {
		r.passByLocked(by, now)
	}
}

// passByLocked sends all that waits for a resolver that is down on to the next.
func (r *Relay) passByLocked(down netip.AddrPort, now time.Time) {
	var late []*query
	for el := r.waiting.Front(); el != nil; el = el.Next() {
		if q := el.Value.(*query); q.next < len(q.order) && q.current() == down {
			late = append(late, q)
		}
	}
	for _, q := range late {
		if q.queue == r.waiting { // it has not had to make room
			r.advanceLocked(q, now)
		}
	}
}
