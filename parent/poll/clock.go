package poll

import (
	"sync/atomic"
	"time"
)

// Clock is a monotonic clock that stands still while one event is handled: one
// look at the time is enough for all that follows from it. Between events, and
// for goroutines that run then, it goes.
type Clock struct {
	base time.Time
	// at is what it shows while it stands, in nanoseconds; 0: it goes.
	at atomic.Int64
	// shown is the latest that it has shown: with several threads somebody may
	// have looked while Stop was looking.
	shown atomic.Int64
}

// NewClock makes a Clock that shows 0 now.
func NewClock() *Clock { return &Clock{base: time.Now()} }

// Now is the time since NewClock. It never goes back.
func (c *Clock) Now() time.Duration {
	if at := c.at.Load(); at != 0 {
		return time.Duration(max(at, c.shown.Load()))
	}
	return time.Duration(c.show(int64(time.Since(c.base))))
}

// show is now, or what was shown if that is later.
func (c *Clock) show(now int64) int64 {
	for {
		shown := c.shown.Load()
		if now <= shown {
			return shown
		}
		if c.shown.CompareAndSwap(shown, now) {
			return now
		}
	}
}

// Stop sets the Clock, and has it stand from now on.
func (c *Clock) Stop() { c.at.Store(c.show(max(int64(time.Since(c.base)), 1))) }

// Go lets it go again.
func (c *Clock) Go() { c.at.Store(0) }
