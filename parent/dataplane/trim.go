package dataplane

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// When memory is given back.
const (
	// quietTime is how long there must be next to nothing to do.
	quietTime = 20 * time.Second
	// quietBatches is next to nothing, in batches of events: a guest's kernel
	// looks for routers and neighbours even when nobody does anything.
	quietBatches = 64
	// busyBatches is what may have left something behind.
	busyBatches = 1024
)

// trimmer gives memory back to the kernel when the guest has come to rest. Go
// does so only when it collects garbage, which it does when a program
// allocates: one that has nothing to do keeps what it once needed.
//
// It wakes up each quietTime while the guest is busy, once after that, and not
// again.
type trimmer struct {
	batches atomic.Uint64 // of events, so far
	trimmed atomic.Uint64 // batches at the last trim
	armed   atomic.Bool
	wait    time.Duration // quietTime but in tests
	trim    func()
}

func newTrimmer() *trimmer { return &trimmer{wait: quietTime, trim: freeMemory} }

// between is for poll.Poller.Between.
func (t *trimmer) between(idle bool) {
	if !idle {
		t.batches.Add(1)
		return
	}
	if t.batches.Load()-t.trimmed.Load() < busyBatches || t.armed.Swap(true) {
		return
	}
	t.await(t.batches.Load())
}

// await trims when a whole quietTime was quiet. since is batches now.
func (t *trimmer) await(since uint64) {
	time.AfterFunc(t.wait, func() {
		now := t.batches.Load()
		if now-since >= quietBatches {
			t.await(now)
			return
		}
		t.trimmed.Store(now)
		t.armed.Store(false)
		t.trim()
	})
}

// freeMemory collects twice: what a sync.Pool keeps survives the first time.
func freeMemory() {
	runtime.GC()
	debug.FreeOSMemory()
}
