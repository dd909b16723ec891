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
}

// NewClock makes a Clock that shows 0 now.
func NewClock() *Clock { return &Clock{base: time.Now()} }

// Now is the time since NewClock.
func (c *Clock) Now() time.Duration {
	if at := c.at.Load(); at != 0 {
		return time.Duration(at)
	}
	return time.Since(c.base)
}

// Stop sets the Clock, and has it stand from now on.
func (c *Clock) Stop() { c.at.Store(max(int64(time.Since(c.base)), 1)) }

// Go lets it go again.
func (c *Clock) Go() { c.at.Store(0) }
