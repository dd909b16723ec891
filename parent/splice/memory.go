package splice

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Memory is what all connections share: how much may lie in netstack for those
// whose other end does not take it. Each direction has pools of its own.
//
// What a connection may hold is told by what the pool has left. To the guest, one
// whose guest has taken little so far gets an eighth of that and firstToGuest at
// most; one that is steady, which is to say that much has gone through it without
// a pause, a quarter of twice the pool, and all of its buffer at most. So there is
// always something left for a new one, those that stand still leave a fast one
// its speed, and all together hold no more than two pools, and the least of each
// connection. To the host there are two pools, of windows (window.go): each gets an
// eighth of what is left of its own. What is in netstack cannot be taken back: it
// is decided before it is read.
type Memory struct {
	toGuest pool // charged: bytes in the send queues, and what their pieces cost
	toHost  pool // charged: receive buffers beyond the least
	proven  pool // the same, of those that are used (window.go)
}

const (
	// poolSize is in bytes.
	poolSize = 16 << 20
	// provenSize is that of the pool of windows that are used.
	provenSize = 256 << 20
	// leastToGuest is what a connection may hold in any case, in bytes: less
	// than a segment, so that a host's socket is read in fair pieces still.
	leastToGuest = 8 << 10
	// firstToGuest is for one that is not steady. With this little a stream is
	// a third slower than with all of its buffer.
	firstToGuest = 128 << 10
	// LeastToHost is the receive buffer, in bytes, with which an endpoint of
	// netstack is made. Half of that is the window that the guest sees.
	LeastToHost = 24 << 10
	// firstToHost is for one whose peer has acknowledged little.
	firstToHost = 256 << 10
)

// NewMemory is empty.
func NewMemory() *Memory {
	return &Memory{
		toGuest: pool{size: poolSize, least: leastToGuest, first: firstToGuest, charges: make(map[*Flow]charge)},
		toHost:  pool{size: poolSize, least: LeastToHost, first: firstToHost, charges: make(map[*Flow]charge)},
		proven:  pool{size: provenSize, least: LeastToHost, first: math.MaxInt64, charges: make(map[*Flow]charge)},
	}
}

// pool is the part of Memory for one direction.
type pool struct {
	size, least, first int64
	total              atomic.Int64

	mu      sync.Mutex       // may be taken under an endpoint's lock
	charges map[*Flow]charge // guarded by mu; none is of 0 bytes
	turn    uint64           // guarded by mu; counts the charges
	next    time.Time        // guarded by mu; no review before
}

// charge is what a flow is charged.
type charge struct {
	bytes int64
	turn  uint64 // tells it from a later one of as many
}

// limit is how many bytes f may hold, whose buffer has room for most. It is
// short if others are the reason that this is not more.
func (p *pool) limit(f *Flow, steady bool, most int64) (n int64, short bool) {
	others := p.total.Load()
	if others != 0 {
		p.mu.Lock()
		others -= p.charges[f].bytes
		p.mu.Unlock()
	}
	full := min(p.first, most)
	share := min((p.size-others)/8, full)
	if steady {
		full = most
		share = max(share, (2*p.size-others)/4)
	}
	n = min(max(share, p.least), full)
	return n, n < full
}

// grow charges f, which holds held bytes, for as much as it may hold, which it
// returns; or, if that would be less than it holds, nothing, and reports false.
func (p *pool) grow(f *Flow, held, most int64) (n int64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := p.size - (p.total.Load() - p.charges[f].bytes)
	n = min(max(left/8, p.least), p.first, most)
	if n < held {
		return held, false
	}
	p.chargeLocked(f, n-p.least)
	return n, true
}

// charge sets what f is charged: 0 ends it.
func (p *pool) charge(f *Flow, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.chargeLocked(f, n)
}

func (p *pool) chargeLocked(f *Flow, n int64) {
	p.total.Add(n - p.charges[f].bytes)
	if n == 0 {
		delete(p.charges, f)
		return
	}
	p.turn++
	p.charges[f] = charge{n, p.turn}
}

const (
	// reviewPause is the least time between two reviews.
	reviewPause = 10 * time.Millisecond
	// reviewShare: they take no more than one part in so many of the time.
	reviewShare = 20
	// reviewMost is how many flows one looks at, which others wait for: chance
	// decides which. It takes some 0.1 ms.
	reviewMost = 512
)

// review looks what connections hold in truth, where the last time is long
// enough ago: netstack does not tell when a guest acknowledges something, so
// what they are charged may have gone. holds says what f is to be charged
// instead.
func (p *pool) review(holds func(f *Flow) int64) {
	start := time.Now()
	p.mu.Lock()
	if start.Before(p.next) {
		p.mu.Unlock()
		return
	}
	p.next = start.Add(time.Minute) // it is being done
	charged := make(map[*Flow]charge, min(len(p.charges), reviewMost))
	for f, c := range p.charges {
		if len(charged) == reviewMost {
			break
		}
		charged[f] = c
	}
	p.mu.Unlock()

	// holds takes endpoints' locks, under which charge is called.
	held := make(map[*Flow]int64, len(charged))
	for f := range charged {
		held[f] = holds(f)
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	for f, n := range held {
		// One that was charged anew meanwhile has been looked at.
		if p.charges[f] == charged[f] && n < charged[f].bytes {
			p.chargeLocked(f, n)
		}
	}
	end := time.Now()
	p.next = end.Add(max(reviewPause, reviewShare*end.Sub(start)))
}
