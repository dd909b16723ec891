package poll

import (
	"testing"
	"time"
)

// It stands between Stop and Go, and never goes back.
func TestClock(t *testing.T) {
	c := NewClock()
	c.Stop()
	stopped := c.Now()
	if stopped <= 0 {
		t.Errorf("stopped at %v, want later than it was made", stopped)
	}
	for begin := time.Now(); time.Since(begin) < time.Millisecond; {
		if now := c.Now(); now != stopped {
			t.Fatalf("%v while it stands at %v", now, stopped)
		}
	}
	c.Go()
	if now := c.Now(); now < stopped+time.Millisecond {
		t.Errorf("%v a millisecond after %v", now, stopped)
	}
	last := c.Now()
	c.Stop()
	if now := c.Now(); now < last {
		t.Errorf("%v after %v", now, last)
	}
}
