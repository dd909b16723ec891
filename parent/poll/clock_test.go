package poll

import (
	"sync"
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

// It does not go back for those who look while others stop it and let it go.
func TestClockOfMany(t *testing.T) {
	c := NewClock()
	end := time.Now().Add(50 * time.Millisecond)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			last := c.Now()
			for time.Now().Before(end) {
				if now := c.Now(); now < last {
					t.Errorf("%v after %v", now, last)
					return
				} else {
					last = now
				}
			}
		})
	}
	for time.Now().Before(end) {
		c.Stop()
		c.Go()
	}
	all.Wait()
}
