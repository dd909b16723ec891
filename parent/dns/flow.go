package dns

import (
	"container/list"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// endpoints are a port of the guest and the nameserver's address that it asks.
type endpoints struct{ guest, via netip.AddrPort }

// flow is all that one port of the guest asks. Its fields are guarded by the
// relay's lock.
type flow struct {
	relay *Relay
	endpoints
	sockets []*socket // one for each resolver that was asked
	queries []*query
	since   time.Time     // without a query
	element *list.Element // in Relay.busy or Relay.idle
}

// queryLocked finds the query that the guest repeats, or makes a new one.
func (r *Relay) queryLocked(e endpoints, id uint16) *query {
	f := r.flows[e]
	if f == nil {
		f = &flow{relay: r, endpoints: e}
		r.flows[e] = f
		f.element = r.busy.PushBack(f)
	} else {
		r.useLocked(f)
	}
	for _, q := range f.queries {
		if q.id == id {
			return q
		}
	}
	if r.waiting.Len()+r.last.Len() >= maxQueries {
		r.forgetLocked(r.oldestLocked())
	}
	q := &query{flow: f, id: id}
	f.queries = append(f.queries, q)
	return q
}

// oldestLocked is the query that has waited longest, if there are any.
func (r *Relay) oldestLocked() *query {
	if el := r.last.Front(); el != nil {
		return el.Value.(*query)
	}
	return r.waiting.Front().Value.(*query)
}

// useLocked moves a flow to where those are that have queries.
func (r *Relay) useLocked(f *flow) {
	r.unlistLocked(f)
	f.element = r.busy.PushBack(f)
}

// restLocked moves a flow whose last query has ended to where those are that
// make room for others.
func (r *Relay) restLocked(f *flow) {
	r.unlistLocked(f)
	f.since = r.now()
	f.element = r.idle.PushBack(f)
	r.armLocked(f.since.Add(linger))
}

func (r *Relay) unlistLocked(f *flow) {
	if f.element == nil {
		return
	}
	r.busy.Remove(f.element) // of these two
	r.idle.Remove(f.element) // the wrong one does nothing
	f.element = nil
}

// roomLocked makes room for one more socket, which f needs.
func (r *Relay) roomLocked(f *flow) unix.Errno {
	for r.sockets >= r.cfg.Max {
		el := r.idle.Front()
		if el == nil {
			el = r.busy.Front()
		}
		victim := el.Value.(*flow)
		if victim == f {
			return unix.EMFILE
		}
		r.closeLocked(victim)
	}
	return 0
}

// closeLocked ends a flow, its queries and its sockets.
func (r *Relay) closeLocked(f *flow) {
	delete(r.flows, f.endpoints)
	r.unlistLocked(f)
	for _, q := range f.queries {
		q.unlist()
	}
	f.queries = nil
	for _, s := range f.sockets {
		s.closeLocked()
	}
	f.sockets = nil
}

// forgetLocked ends a query.
func (r *Relay) forgetLocked(q *query) {
	q.unlist()
	f := q.flow
	i := slices.Index(f.queries, q)
	f.queries = slices.Delete(f.queries, i, i+1)
	if len(f.queries) == 0 {
		r.restLocked(f)
	}
}
