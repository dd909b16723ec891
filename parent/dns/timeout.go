package dns

import (
	"container/list"
	"time"
)

// armLocked makes tick run at the given time, or before.
func (r *Relay) armLocked(at time.Time) {
	if r.closed || !r.wake.IsZero() && !at.Before(r.wake) {
		return
	}
	r.wake = at
	in := max(0, at.Sub(r.now()))
	if r.timer == nil {
		r.timer = time.AfterFunc(in, r.tick)
		return
	}
	r.timer.Reset(in)
}

// tick does what is due. A relay without a query has nothing to wake up for.
func (r *Relay) tick() {
	servers := r.cfg.Resolvers.List()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.wake = time.Time{}
	now := r.now()
	r.followLocked(servers, now)
	for q := r.dueLocked(r.waiting, now); q != nil; q = r.dueLocked(r.waiting, now) {
		if q.next == len(q.order) {
			r.concludeLocked(q)
			continue
		}
		late := q.current()
		down := r.health.failed(late, q.sent, now)
		r.advanceLocked(q, now)
		if down {
			r.passByLocked(late, now)
		}
	}
	for q := r.dueLocked(r.last, now); q != nil; q = r.dueLocked(r.last, now) {
		r.concludeLocked(q)
	}
	for el := r.idle.Front(); el != nil; el = r.idle.Front() {
		f := el.Value.(*flow)
		if now.Before(f.since.Add(linger)) {
			r.armLocked(f.since.Add(linger))
			break
		}
		r.closeLocked(f)
	}
	for _, l := range []*list.List{r.waiting, r.last} {
		if el := l.Front(); el != nil {
			r.armLocked(el.Value.(*query).deadline)
			r.armLocked(now.Add(recheck))
		}
	}
}

// dueLocked is the first query of a queue if its time has come, else nil.
func (r *Relay) dueLocked(l *list.List, now time.Time) *query {
	el := l.Front()
	if el == nil {
		return nil
	}
	if q := el.Value.(*query); !now.Before(q.deadline) {
		return q
	}
	return nil
}
