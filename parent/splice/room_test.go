package splice

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Whatever is written and taken, no piece that is in the queue is missing from
// the account, and an empty queue costs nothing.
func TestPiecesInQueue(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var q sendQueue
	var written, taken int64
	var ends []int64 // of the pieces in the queue, as bytes from the start
	for range 200_000 {
		switch rnd.IntN(4) {
		case 0:
			taken += rnd.Int64N(written - taken + 1)
		case 1:
			taken = written
		default:
			n := 1 + rnd.Int64N(3)
			if rnd.IntN(10) == 0 {
				n = piece + rnd.Int64N(100)
			}
			written += n
			q.wrote(n)
			if n < piece {
				ends = append(ends, written)
			}
		}
		for len(ends) != 0 && ends[0] <= taken {
			ends = ends[1:]
		}
		got, want := q.cost(taken, written), int64(len(ends))*pieceCost
		if got < want || taken == written && got != 0 {
			t.Fatalf("%d bytes for %d pieces, of %d bytes in the queue", got, len(ends), written-taken)
		}
	}
}

// A queue that is never empty, as that of a stream, does not cost more and more.
func TestPiecesOfStream(t *testing.T) {
	var q sendQueue
	const window = 50
	for n := int64(1); n < 10_000; n++ {
		q.wrote(1)
		if got := q.cost(max(0, n-window), n); got > 2*(window+1)*pieceCost {
			t.Fatalf("%d bytes after %d pieces, of which %d are in the queue", got, n, window)
		}
	}
}

// Much without a pause makes steady; a pause ends it, a short one does not.
func TestSteadiness(t *testing.T) {
	var s steadiness
	check := func(when string, gone int64, want bool) {
		t.Helper()
		if got := s.has(100, gone); got != want {
			t.Errorf("%s: steady %v, want %v", when, got, want)
		}
	}
	check("at first", 99, false)
	check("after much", 100, true)
	s.stop()
	check("while it has just stopped", 100, true)
	s.goOn(101)
	check("after a short stop", 101, true)
	s.since = time.Now().Add(-2 * steadyPause)
	s.stop() // still the same pause
	check("in a pause", 500, false)
	s.goOn(500)
	check("after a pause", 599, false)
	check("after much behind a pause", 600, true)
}
