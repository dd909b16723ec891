package hostfwd

import (
	"container/list"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slirp4netns-go/slirp4netns/parent/splice"
)

// maxWaiting bounds the connections that the guest has not accepted yet. The
// oldest makes room for a new one, and its client gets RST.
const maxWaiting = 1024

// askedTwice is after how long the guest has been sent a second SYN, and had
// time to answer it.
const askedTwice = 2 * time.Second

// streams are all TCP connections of a Table.
type streams struct {
	cfg    *Config
	splice splice.Config

	mu      sync.Mutex
	waiting *list.List         // guarded by mu; of *conn that the guest has not accepted, oldest first
	all     map[*conn]struct{} // guarded by mu; those that wait included
	total   uint64             // guarded by mu
	closed  bool               // guarded by mu

	// failed counts those that the guest did not accept.
	failed atomic.Uint64
}

func newStreams(cfg *Config) *streams {
	return &streams{
		cfg:     cfg,
		splice:  splice.Config{Poller: cfg.Poller, Worker: cfg.Worker, Orphans: splice.NewOrphans(splice.MaxOrphans), Memory: cfg.Memory},
		waiting: list.New(),
		all:     make(map[*conn]struct{}),
	}
}

// full tells whether there is no room for a connection. The one that the guest
// lets wait longest makes room, if it was asked more than once: else clients of
// a port that leads nowhere would keep out those of all others.
func (s *streams) full() bool {
	s.mu.Lock()
	full := len(s.all) >= s.cfg.MaxConns
	var victim *conn
	if el := s.waiting.Front(); full && el != nil {
		if c := el.Value.(*conn); time.Since(c.since) > askedTwice {
			victim = c
		}
	}
	s.mu.Unlock()
	if victim != nil {
		victim.fail()
		return false
	}
	return full
}

// accepted takes a client's connection.
func (s *streams) accepted(l *listener, fd int, client netip.AddrPort) {
	s.mu.Lock()
	s.total++
	s.mu.Unlock()
	c := newConn(l, fd, client)
	if err := c.connect(); err != nil {
		s.failed.Add(1)
		c.Abandon()
		return
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		c.discard()
		return
	}
	s.all[c] = struct{}{}
	c.element = s.waiting.PushBack(c)
	var victim *conn
	if s.waiting.Len() > maxWaiting {
		victim = s.waiting.Front().Value.(*conn)
	}
	s.mu.Unlock()
	if victim != nil {
		victim.fail()
	}
	// From here on a client that goes away is noticed.
	if err := c.Watch(c); err != nil {
		c.fail()
		return
	}
	c.advance() // the guest may have answered already
}

// waits tells whether c waits for the guest.
func (s *streams) waits(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.element != nil
}

// leave takes c out of those that wait. It reports false if somebody else did,
// who then has to go on with it, or to end it.
func (s *streams) leave(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.element == nil {
		return false
	}
	s.waiting.Remove(c.element)
	c.element = nil
	return true
}

// forget drops an ended connection.
func (s *streams) forget(c *conn) {
	s.mu.Lock()
	delete(s.all, c)
	s.mu.Unlock()
}

// cut resets the connections of a rule, or all of them where r is nil.
func (s *streams) cut(r *rule) {
	s.mu.Lock()
	var cut []*conn
	for c := range s.all {
		if r == nil || c.rule == r {
			cut = append(cut, c)
		}
	}
	s.mu.Unlock()
	for _, c := range cut {
		if !c.fail() {
			c.Reset()
		}
	}
}

func (s *streams) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cut(nil)
	s.splice.Orphans.Close()
}

// Orphans is the number of connections whose client is gone, and whose guest has
// not taken all that it had sent.
func (t *Table) Orphans() int { return t.tcp.splice.Orphans.Len() }

// counts are the numbers of connections now and since the start.
func (s *streams) counts() (open int, total uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all), s.total
}
