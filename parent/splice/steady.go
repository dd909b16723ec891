package splice

import "time"

// steadyPause is how long one way of a connection may stand still and be steady
// all the same. Where processors are short, programs wait some ten milliseconds
// for one.
const steadyPause = 100 * time.Millisecond

// steadiness tells whether much has gone one way without a pause. Who stands
// still has not shown that he would use a large buffer.
type steadiness struct {
	since time.Time // when it came to stand still; zero: it goes
	from  int64     // bytes that had gone at the end of the last pause
}

// stop notes that the other end takes nothing for now.
func (s *steadiness) stop() {
	if s.since.IsZero() {
		s.since = time.Now()
	}
}

// stopped tells whether goOn would change anything.
func (s *steadiness) stopped() bool { return !s.since.IsZero() }

// goOn notes that the other end takes something again, of which so many bytes
// have gone by now.
func (s *steadiness) goOn(gone int64) {
	s.note(gone)
	s.since = time.Time{}
}

// has tells whether, of the bytes that have gone by now, at least much have gone
// since the last pause.
func (s *steadiness) has(much, gone int64) bool {
	s.note(gone)
	return gone-s.from >= much
}

// note begins anew if this is a pause.
func (s *steadiness) note(gone int64) {
	if s.stopped() && time.Since(s.since) > steadyPause {
		s.from = gone
	}
}
