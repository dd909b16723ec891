package splice

import "time"

// steadyPause is how long one way of a connection may stand still and be steady
// all the same.
const steadyPause = 20 * time.Millisecond

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

// goOn notes that the other end takes something again.
func (s *steadiness) goOn() { s.since = time.Time{} }

// has tells whether, of the bytes that have gone by now, at least much have gone
// since the last pause.
func (s *steadiness) has(much, gone int64) bool {
	if !s.since.IsZero() && time.Since(s.since) > steadyPause {
		s.from = gone
	}
	return gone-s.from >= much
}
