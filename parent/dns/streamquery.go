package dns

import (
	"bytes"
	"net/netip"
	"slices"
	"time"
)

// Bounds of what is kept of a guest's connection, to be sent again.
const (
	maxStreamQueries = 64
	maxStreamKept    = 16 << 10 // bytes
)

// streamQuery is one that waits for its answer. One that is not kept goes to
// one resolver, and whatever that one says is the answer. Its fields are guarded
// by the stream's lock, but for the first ones.
type streamQuery struct {
	// While it moves these belong to the goroutine that moves it.
	msg   []byte           // with its length
	list  []netip.AddrPort // what order was made of
	order []netip.AddrPort // the resolvers, in the order in which they are asked
	next  int              // index in order of the next one

	id     uint16
	kept   bool // in stream.queries
	done   bool
	moving bool      // a goroutine looks for a resolver
	again  bool      // it was sent to one resolver twice
	at     *leg      // where it was sent last
	sent   time.Time // to at
	owing  []*leg    // those that may still answer
	// answer is that of the first resolver that has said that it has none; it
	// is the guest's if nobody has a better one.
	answer []byte
	timer  *time.Timer
}

// newQuery takes a query of the guest, which is to be forwarded. It is nil when
// the stream has been closed.
func (s *stream) newQuery(msg []byte) *streamQuery {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	q := &streamQuery{msg: msg}
	if isQuery(msg[2:]) && s.roomLocked(len(msg)) {
		q.id, q.kept, q.msg = messageID(msg[2:]), true, bytes.Clone(msg)
		s.queries = append(s.queries, q)
		s.kept += len(msg)
	}
	s.moveLocked(q)
	return q
}

// roomLocked tells whether so many bytes more may be kept. Queries that nobody
// else is left to be asked for make room.
func (s *stream) roomLocked(n int) bool {
	for len(s.queries) >= maxStreamQueries || s.kept+n > maxStreamKept {
		i := slices.IndexFunc(s.queries, func(q *streamQuery) bool {
			return !q.moving && q.next == len(q.order) && q.answer == nil
		})
		if i < 0 {
			return false
		}
		s.forgetLocked(s.queries[i])
	}
	return true
}

func (s *stream) moveLocked(q *streamQuery) {
	q.moving = true
	s.moving++
}

func (s *stream) restLocked(q *streamQuery) {
	q.moving = false
	s.moving--
}

// moreLocked tells whether others than a query may have to be sent yet.
func (s *stream) moreLocked(than *streamQuery) bool {
	return slices.ContainsFunc(s.queries, func(q *streamQuery) bool {
		return q != than && (q.moving || q.next < len(q.order))
	})
}

func (q *streamQuery) owes(l *leg) bool { return slices.Contains(q.owing, l) }

func (q *streamQuery) paidLocked(l *leg) {
	q.owing = slices.DeleteFunc(q.owing, func(o *leg) bool { return o == l })
}

func (q *streamQuery) doneLocked() {
	q.done = true
	if q.timer != nil {
		q.timer.Stop()
	}
}

func (s *stream) forgetLocked(q *streamQuery) {
	if i := slices.Index(s.queries, q); i >= 0 {
		s.queries = slices.Delete(s.queries, i, i+1)
		s.kept -= len(q.msg) + len(q.answer)
	}
	q.doneLocked()
}

// wakeLocked has a query looked at after a while.
func (s *stream) wakeLocked(q *streamQuery, after time.Duration) {
	if !q.kept || q.done {
		return
	}
	if q.timer == nil {
		q.timer = time.AfterFunc(after, func() { s.late(q) })
		return
	}
	q.timer.Reset(after)
}

// forward sends a query that moves to the next of its resolvers that takes it.
func (s *stream) forward(q *streamQuery) {
	for {
		addr, wait, ok := s.choose(q)
		if !ok {
			s.conclude(q)
			return
		}
		if l := s.legTo(addr, wait, q.list); l != nil && s.send(q, l) {
			return
		}
	}
}

// choose is the next resolver of a query, and how long that one has to accept a
// connection. It begins anew when they are others than the query's.
func (s *stream) choose(q *streamQuery) (addr netip.AddrPort, wait time.Duration, ok bool) {
	list := s.streams.cfg.Resolvers.List()
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.done || s.closed {
		return addr, 0, false
	}
	if q.list == nil || len(list) > 0 && !same(q.list, list) {
		var probe netip.AddrPort
		q.list, q.next = list, 0
		q.order, probe = s.streams.health.order(list, time.Now())
		if probe.IsValid() && q.kept {
			go s.streams.probe(probe, q.msg)
		}
	}
	if q.next == len(q.order) {
		return addr, 0, false
	}
	addr, wait = q.order[q.next], streamFailover
	q.next++
	if q.next == len(q.order) {
		wait = streamPatience
	}
	return addr, wait, true
}

// send sends a query to a resolver. It is false if another one, or the same one
// over another connection, is to be asked at once.
func (s *stream) send(q *streamQuery, l *leg) bool {
	l.write.Lock()
	defer l.write.Unlock()
	s.mu.Lock()
	if l.shut {
		q.next--
		s.mu.Unlock()
		return false
	}
	q.at, q.sent = l, time.Now()
	q.owing = append(q.owing, l)
	l.shut = s.ended && !s.moreLocked(q)
	last := l.shut
	s.mu.Unlock()

	_, err := l.conn.Write(q.msg)
	switch {
	case err != nil:
		l.conn.Close() // perhaps in the middle of a message; its reader does the rest
	case last:
		l.conn.CloseWrite()
	}
	s.mu.Lock()
	if err != nil {
		q.paidLocked(l)
	}
	if !q.done && !q.owes(l) {
		s.mu.Unlock()
		return false // it could not be sent, or l has answered that it has no answer
	}
	s.restLocked(q)
	s.wakeLocked(q, streamFailover)
	useless := s.uselessLocked()
	s.mu.Unlock()
	if useless {
		s.close()
	}
	return true
}

// conclude has a query wait for those that were asked when nobody is left to
// ask, or ends it.
func (s *stream) conclude(q *streamQuery) {
	s.mu.Lock()
	s.restLocked(q)
	answer := q.answer
	wait := !q.done && len(q.owing) > 0
	switch {
	case wait && answer != nil:
		s.wakeLocked(q, streamFailover)
	case wait:
		s.wakeLocked(q, recheck)
	case q.done:
		answer = nil
	default:
		s.forgetLocked(q)
	}
	// A query is lost: the guest learns of it if it waits for no other.
	useless := s.uselessLocked() || !wait && answer == nil && len(s.queries) == 0 && s.moving == 0
	s.mu.Unlock()
	if !wait && answer != nil && s.toGuest(answer) != nil {
		useless = true
	}
	if useless {
		s.close()
	}
}

// late does what is due for a query that has not been answered in time.
func (s *stream) late(q *streamQuery) {
	list := s.streams.cfg.Resolvers.List()
	now := time.Now()
	s.mu.Lock()
	if q.done || q.moving {
		s.mu.Unlock()
		return
	}
	s.streams.health.failed(q.at.addr, q.sent, now)
	switch {
	case q.next < len(q.order), len(list) > 0 && !same(q.list, list), q.answer != nil:
		if q.answer != nil && q.next == len(q.order) {
			s.dropLocked(q.owing...) // they have had their time
			q.owing = nil
		}
		s.moveLocked(q)
		s.mu.Unlock()
		s.forward(q)
		return
	case now.Sub(q.sent) < patience:
		s.wakeLocked(q, recheck)
	}
	s.mu.Unlock()
}

// take is what the guest is to have of a resolver's message, or nil.
func (s *stream) take(l *leg, msg []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.spoke = true
	if len(msg) < 2+headerSize {
		return msg
	}
	id := messageID(msg[2:])
	i := slices.IndexFunc(s.queries, func(q *streamQuery) bool { return q.id == id && q.owes(l) })
	if i < 0 {
		return msg // one of several, or the answer to what was not kept
	}
	q := s.queries[i]
	q.paidLocked(l)
	if isAnswer(msg[2:]) && hasNoAnswer(msg[2:]) {
		if s.betterLocked(q, l, msg) {
			return nil
		}
		if q.answer != nil {
			msg = q.answer
		}
	}
	// Who is asked in vain would answer what the guest has an answer to.
	s.dropLocked(q.owing...)
	s.forgetLocked(q)
	return msg
}

// betterLocked looks for a better answer than that of a resolver that had none.
// It is false when there can be none.
func (s *stream) betterLocked(q *streamQuery, than *leg, msg []byte) bool {
	if q.next == len(q.order) && len(q.owing) == 0 && !q.moving {
		return false
	}
	if q.answer == nil {
		if s.kept+len(msg) > maxStreamKept {
			return false
		}
		q.answer = bytes.Clone(msg)
		s.kept += len(msg)
	}
	switch {
	case q.moving:
	case q.at == than && q.next < len(q.order):
		s.moveLocked(q)
		go s.forward(q)
	case q.next == len(q.order):
		s.wakeLocked(q, streamFailover)
	}
	return true
}
