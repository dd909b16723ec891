package vswitch

import (
	"slices"
	"sync"
	"time"

	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

const (
	// ageing is how long an address is remembered that sends nothing: the
	// default of IEEE 802.1D.
	ageing = 300 * time.Second
	// maxAddrs is how many addresses a peer may have: a machine, and what
	// is bridged or tunnelled behind it. With one more the one that was
	// silent longest is forgotten.
	maxAddrs = 64
	// refresh is how exactly it is known when an address was heard last.
	refresh = time.Second
)

// table says which peer has an Ethernet address. It has at most maxAddrs for
// each peer.
type table struct {
	mu      sync.Mutex
	entries map[link.MAC]entry // guarded by mu
	now     time.Duration      // guarded by mu; when something was heard last
}

type entry struct {
	port *port
	seen time.Duration
}

func newTable() *table { return &table{entries: make(map[link.MAC]entry)} }

// learn notes that m was heard from p. It is called on the goroutine that
// reads.
func (t *table) learn(m link.MAC, p *port, now time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now = now
	e, known := t.entries[m]
	if known && e.port == p {
		if now-e.seen >= refresh {
			t.entries[m] = entry{p, now}
		}
		return
	}
	if known { // it has moved
		e.port.addrs = slices.DeleteFunc(e.port.addrs, func(a link.MAC) bool { return a == m })
	}
	if len(p.addrs) == maxAddrs {
		t.forgetOldest(p)
	}
	p.addrs = append(p.addrs, m)
	t.entries[m] = entry{p, now}
}

// forgetOldest makes room for another address of p.
//
// Preconditions: t.mu is held, and p has addresses.
func (t *table) forgetOldest(p *port) {
	oldest := 0
	for i, a := range p.addrs {
		if t.entries[a].seen < t.entries[p.addrs[oldest]].seen {
			oldest = i
		}
	}
	delete(t.entries, p.addrs[oldest])
	p.addrs = slices.Delete(p.addrs, oldest, oldest+1)
}

// lookup is the peer that has m; nil: nobody is known to.
func (t *table) lookup(m link.MAC) *port {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.entries[m]
	if !ok || t.now-e.seen > ageing {
		return nil
	}
	return e.port
}

// forget removes all that is known of p.
func (t *table) forget(p *port) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range p.addrs {
		delete(t.entries, a)
	}
	p.addrs = nil
}
