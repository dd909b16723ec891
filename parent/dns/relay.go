package dns

import (
	"container/list"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// Times of the relay.
const (
	// failover is how long a resolver has to answer before the next one is
	// asked too. With one that is down the guest still has its answer within
	// a second; most names are found in far less.
	failover = 750 * time.Millisecond
	// patience is how long the answer to a query that was sent to all
	// resolvers may take. The C library asks again after 5 s.
	patience = 10 * time.Second
	// linger is how long the sockets of a port of the guest are kept after
	// its last query, for late answers: they tell which resolvers work.
	linger = 2 * time.Second
)

// Bounds of the relay.
const (
	// maxSockets bounds the sockets of a storm of queries.
	maxSockets = 1024
	// maxQueries bounds the queries that wait.
	maxQueries = 2048
	// maxKept is the size in bytes of queries that are kept to be sent again:
	// what fits in a datagram everywhere (DNS flag day 2020).
	maxKept = 1232
)

// Sender sends datagrams to the guest; *datagram.Sender is one.
type Sender interface {
	UDP(src, dst netip.AddrPort, payload []byte, m datagram.Meta)
}

// RelayConfig is what a Relay works with.
type RelayConfig struct {
	Resolvers *Resolvers
	Names     *Names // may be nil
	Poller    *poll.Poller
	Sender    Sender
	// Unreachable tells the guest that its query, from guest to via, cannot
	// be delivered.
	Unreachable func(guest, via netip.AddrPort, query []byte, errno unix.Errno)
	// Bind chooses the source of a socket that is about to be connected to
	// an address. It may be nil.
	Bind func(fd int, dst netip.Addr) error
	Max  int // sockets at most; 0: 1024
}

// Relay carries queries over UDP. All that it does under its lock is quick: no
// call blocks.
type Relay struct {
	cfg    RelayConfig
	health health
	now    func() time.Time
	// queries and answers count datagrams of the guest, and to it.
	queries, answers atomic.Uint64

	mu      sync.Mutex
	flows   map[endpoints]*flow // guarded by mu
	busy    *list.List          // guarded by mu; of *flow with queries, oldest use first
	idle    *list.List          // guarded by mu; of *flow without, longest idle first
	waiting *list.List          // guarded by mu; of *query that has another resolver or an answer, by deadline
	last    *list.List          // guarded by mu; of *query that has neither, by deadline
	sockets int                 // guarded by mu
	timer   *time.Timer         // guarded by mu; runs tick
	wake    time.Time           // guarded by mu; when, zero: it does not run
	closed  bool                // guarded by mu
}

// NewRelay makes a Relay.
func NewRelay(cfg RelayConfig) *Relay {
	if cfg.Max == 0 {
		cfg.Max = maxSockets
	}
	return &Relay{
		cfg:     cfg,
		now:     time.Now,
		flows:   make(map[endpoints]*flow),
		busy:    list.New(),
		idle:    list.New(),
		waiting: list.New(),
		last:    list.New(),
	}
}

// Query relays the guest's query, which it sent from guest to via. It does not
// block, and does not keep msg.
func (r *Relay) Query(guest, via netip.AddrPort, msg []byte) {
	if !isQuery(msg) {
		return
	}
	r.queries.Add(1)
	if answer, ok := r.cfg.Names.Answer(msg); ok {
		r.send(via, guest, answer)
		return
	}
	resolvers := r.cfg.Resolvers.List()
	if len(resolvers) == 0 {
		// Guests heed a closed port at once, and an unreachable network not
		// at all (udp(7)).
		r.cfg.Unreachable(guest, via, msg, unix.ECONNREFUSED)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	now := r.now()
	q := r.queryLocked(endpoints{guest, via}, messageID(msg))
	r.startLocked(q, resolvers, msg, now)
}

// Len is the number of sockets.
func (r *Relay) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sockets
}

// Close forgets all queries.
func (r *Relay) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.timer != nil {
		r.timer.Stop()
	}
	for _, f := range r.flows {
		r.closeLocked(f)
	}
}

// send sends an answer to the guest.
func (r *Relay) send(via, guest netip.AddrPort, answer []byte) {
	r.answers.Add(1)
	r.cfg.Sender.UDP(via, guest, answer, datagram.Meta{})
}

// Counts are how many queries of the guest came over UDP, and how many answers
// went back. Both only ever grow.
func (r *Relay) Counts() (queries, answers uint64) { return r.queries.Load(), r.answers.Load() }
