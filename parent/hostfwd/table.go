package hostfwd

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
	"github.com/slirp4netns-go/slirp4netns/parent/splice"
)

// Config is what a Table works with.
type Config struct {
	Stack  *stack.Stack
	NIC    tcpip.NICID
	Poller *poll.Poller
	Worker *poll.Worker
	Sender *datagram.Sender

	Guest4, Guest6 Guest
	// FirstLease is the guest that a rule for 0.0.0.0 leads to.
	FirstLease netip.Addr
	// Control is the ancillary data by which a datagram to dst leaves from
	// --outbound-addr; nil: there is none.
	Control func(dst netip.Addr) []byte

	MaxSockets  int // listening, for all rules; 0: 4096
	MaxConns    int // TCP, in all; 0: 16384
	MaxSessions int // UDP, in all; 0: 4096
	// SYNRetries is how often the guest is asked again to accept a
	// connection; 0: 4.
	SYNRetries int
	Memory     *splice.Memory // of the connections
}

const (
	maxSockets  = 4096
	maxConns    = 16384
	maxSessions = 4096
	// synRetries gives the guest 1+2+4+8+16 seconds.
	synRetries = 4
)

// Table holds the rules. Its methods may be called on several goroutines, but
// not on those of the data plane, apart from HandleUDP.
type Table struct {
	cfg Config
	tcp *streams
	udp *sessions

	mu      sync.Mutex
	rules   map[int]*rule // guarded by mu
	next    int           // guarded by mu; ID
	sockets int           // guarded by mu
	closed  bool          // guarded by mu
}

// rule is an Entry with its sockets.
type rule struct {
	Entry
	ports []port
}

// port is one listening socket.
type port interface{ close() }

// New makes an empty Table.
func New(cfg Config) *Table {
	for limit, otherwise := range map[*int]int{
		&cfg.MaxSockets: maxSockets, &cfg.MaxConns: maxConns, &cfg.MaxSessions: maxSessions, &cfg.SYNRetries: synRetries,
	} {
		if *limit == 0 {
			*limit = otherwise
		}
	}
	t := &Table{cfg: cfg, rules: make(map[int]*rule), next: 1}
	t.tcp = newStreams(&t.cfg)
	t.udp = newSessions(&t.cfg)
	return t
}

// Add puts a rule into force and returns it with its ID and, where the Rule
// left that to us, its port. The error says what stands in the way.
func (t *Table) Add(r Rule) (Entry, error) {
	if err := r.check(); err != nil {
		return Entry{}, err
	}
	if !t.cfg.version(r.Guest.Addr()).ok() {
		return Entry{}, fmt.Errorf("guest address %s: the guest has no IPv6 (--enable-ipv6)", r.Guest.Addr())
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return Entry{}, fmt.Errorf("%s: the data plane has ended", r.hostPorts())
	}
	for _, o := range t.rules {
		if r.Host.Port() != 0 && o.overlaps(&r) {
			return Entry{}, fmt.Errorf("bind %s: %w: forward %d has %s", r.Host, unix.EADDRINUSE, o.ID, o.hostPorts())
		}
	}
	if t.sockets+r.count() > t.cfg.MaxSockets {
		return Entry{}, fmt.Errorf("%s: more than %d ports would be forwarded", r.hostPorts(), t.cfg.MaxSockets)
	}
	n := &rule{Entry: Entry{ID: t.next, Rule: r}}
	if err := t.open(n); err != nil {
		n.close()
		return Entry{}, err
	}
	t.next++
	t.sockets += len(n.ports)
	t.rules[n.ID] = n
	return n.Entry, nil
}

// open makes the sockets of a rule. Those that it made before an error are in
// n.ports.
func (t *Table) open(n *rule) error {
	guest := n.Guest.Addr()
	if guest == netip.IPv4Unspecified() {
		guest = t.cfg.FirstLease
	}
	for i := range n.count() {
		at := netip.AddrPortFrom(n.Host.Addr(), n.Host.Port()+uint16(i))
		fd, err := listen(n.Network, at)
		if err != nil {
			return err
		}
		if at.Port() == 0 {
			bound, _ := hostsock.Names(fd)
			n.Host = netip.AddrPortFrom(at.Addr(), bound.Port())
		}
		to := netip.AddrPortFrom(guest, n.Guest.Port()+uint16(i))
		var p port
		if n.udp() {
			p, err = t.udp.serve(n, fd, to)
		} else {
			p, err = t.tcp.serve(n, fd, to)
		}
		if err != nil {
			unix.Close(fd)
			return fmt.Errorf("%s: %w", at, err)
		}
		n.ports = append(n.ports, p)
	}
	return nil
}

func (r *rule) close() {
	for _, p := range r.ports {
		p.close()
	}
}

// Remove ends a rule: its ports are free when Remove returns. Established
// connections go on, unless cut is set, and so do those of clients that were
// not accepted so far.
func (t *Table) Remove(id int, cut bool) error {
	t.mu.Lock()
	r, ok := t.rules[id]
	if ok {
		delete(t.rules, id)
		t.sockets -= len(r.ports)
	}
	t.mu.Unlock()
	if !ok {
		return fmt.Errorf("forward %d: %w", id, ErrUnknown)
	}
	if !cut {
		for _, p := range r.ports {
			if l, ok := p.(*listener); ok {
				l.acceptWaiting()
			}
		}
	}
	r.close()
	if cut {
		t.tcp.cut(r)
	}
	return nil
}

// List returns all rules, in the order of their IDs.
func (t *Table) List() []Entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]Entry, 0, len(t.rules))
	for _, r := range t.rules {
		list = append(list, r.Entry)
	}
	slices.SortFunc(list, func(a, b Entry) int { return a.ID - b.ID })
	return list
}

// Close ends all rules and connections.
func (t *Table) Close() {
	t.mu.Lock()
	t.closed = true
	rules := t.rules
	t.rules = nil
	t.mu.Unlock()
	for _, r := range rules {
		r.close()
	}
	t.tcp.close()
	t.udp.table.Close()
}
