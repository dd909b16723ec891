package splice

import (
	"sync"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// A kick that comes while a half is being pumped makes it pump once more: no
// event is lost, and no two goroutines pump at once.
func TestHalfLosesNoKick(t *testing.T) {
	w := poll.NewWorker()
	f := &Flow{cfg: &Config{Worker: w}}
	var mu sync.Mutex
	pending, seen, inside := 0, 0, 0
	f.toHost.pump = func() step {
		mu.Lock()
		defer mu.Unlock()
		if inside++; inside != 1 {
			t.Error("two goroutines pump one half")
		}
		seen += pending
		pending = 0
		inside--
		return idle
	}
	const kicks, goroutines = 2000, 4
	var wg sync.WaitGroup
	for range goroutines {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range kicks {
				mu.Lock()
				pending++
				mu.Unlock()
				f.toHost.kick(f)
			}
		}()
	}
	wg.Wait()
	if seen != kicks*goroutines || pending != 0 {
		t.Errorf("%d events were seen and %d left, want %d and 0", seen, pending, kicks*goroutines)
	}
}
