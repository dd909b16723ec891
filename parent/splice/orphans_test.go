package splice

import (
	"sync"
	"sync/atomic"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// abortable counts how often it is aborted, and is an endpoint for nothing else.
type abortable struct {
	tcpip.Endpoint
	aborted *atomic.Int32
}

func (a abortable) Abort() { a.aborted.Add(1) }
func (a abortable) Close() {}

// However many are added at the same time, there are never more than the bound,
// and each that makes room is reset once.
func TestOrphansBound(t *testing.T) {
	const most, writers, each = 10, 4, 20_000
	o := NewOrphans(most)
	cfg := &Config{Orphans: o, Memory: NewMemory()}
	var aborted atomic.Int32
	over := 0
	var wg sync.WaitGroup
	for range writers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range each {
				o.add(&Flow{cfg: cfg, ep: abortable{aborted: &aborted}})
			}
		}()
	}
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	for running := true; running; {
		select {
		case <-ended:
			running = false
		default:
		}
		over = max(over, o.Len())
	}
	if over > most {
		t.Errorf("up to %d orphans, want %d at most", over, most)
	}
	if n, want := aborted.Load(), int32(writers*each-most); n != want {
		t.Errorf("%d were reset, want %d", n, want)
	}
	o.Close()
	if n := o.Len(); n != 0 {
		t.Errorf("%d orphans after Close, want 0", n)
	}
	o.add(&Flow{cfg: cfg, ep: abortable{aborted: &aborted}})
	if n, want := aborted.Load(), int32(writers*each+1); n != want || o.Len() != 0 {
		t.Errorf("%d were reset after Close, %d are left; want %d and 0", n, o.Len(), want)
	}
}
