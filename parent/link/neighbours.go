package link

import (
	"container/list"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// MAC is an Ethernet address.
type MAC [6]byte

var (
	broadcastMAC = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	broadcast4   = netip.AddrFrom4([4]byte{255, 255, 255, 255})
)

const (
	// maxNeighbours bounds the addresses that are known of one Port. A
	// namespace has a handful; the bound is for a guest that makes them up.
	maxNeighbours = 1024
	// maxPeerNeighbours is the same on a Wire, which may have many Ports.
	maxPeerNeighbours = 256
)

// neighbours maps guest addresses to Ethernet addresses.
//
// Theory of operation. It learns from what the guests send, so that an answer
// always finds its way. Who has not been heard is asked for, by ARP or neighbour
// discovery, and meanwhile the packets for it wait (see ask.go). On a TAP they
// go to the interface's own address right away: what is behind that may be
// routed, and answer to nobody.
//
// An address that something was sent to and that was silent for a while is
// asked whether it is still there. The table has no clock: marks are set as
// packets pass, and looked at every lookEvery, as long as there are any.
//
// Each Port has places of its own. When it has none left, its oldest entry
// goes; when a Port goes, all of its entries do.
type neighbours struct {
	ask      func(a netip.Addr, m MAC) // sends a request for a to m
	send     func(frame []byte)        // sends a frame that has waited
	fail     func(frame []byte)        // nobody takes it
	dropped  *atomic.Uint64            // frames that could not wait
	fallback MAC                       // where there is nobody else; the zero MAC: packets wait
	most     int                       // entries of a Port

	mu     sync.Mutex
	table  map[netip.Addr]*neighbour // guarded by mu
	ports  map[Port]*list.List       // guarded by mu; of *neighbour that are known, oldest first
	asked  list.List                 // guarded by mu; of *neighbour that are not
	last   *neighbour                // guarded by mu; what learn saw last, if it is still in the table
	look   *time.Timer               // guarded by mu; nil: nothing to look at
	closed bool                      // guarded by mu
}

// neighbour is an address. All is guarded by neighbours.mu.
type neighbour struct {
	addr  netip.Addr
	place *list.Element // in the list of its port, or of those that are asked
	known bool          // mac and port are
	mac   MAC
	port  Port
	// said tells that it has said so itself, by ARP or neighbour discovery,
	// and so will say it again. Others are known by their packets alone: they
	// may be far behind who has that Ethernet address.
	said bool
	// Since the table was looked at: something came from it, was sent to it.
	heard, used bool
	// silent tells that it was sent something before that, and not heard.
	silent bool

	requests int         // without an answer; 0: it is not being asked
	timer    *time.Timer // of the next request
	waiting  [][]byte    // frames, without the Ethernet address that they are for
	size     int         // bytes of waiting
}

func newNeighbours(e *Endpoint) *neighbours {
	return &neighbours{
		ask:      e.ask,
		send:     func(f []byte) { e.sendRaw(f) },
		fail:     e.unreachable,
		dropped:  &e.stats.WriteDropped,
		fallback: broadcastMAC,
		most:     maxNeighbours,
		table:    make(map[netip.Addr]*neighbour),
		ports:    make(map[Port]*list.List),
	}
}

// learn notes that a was sent from m on a Port. said tells that this was the
// very message.
func (n *neighbours) learn(a netip.Addr, m MAC, port Port, said bool) {
	if m[0]&1 != 0 || a == broadcast4 || !a.IsValid() || a.IsUnspecified() || a.IsMulticast() {
		return // a group address is nobody's
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if e := n.last; e != nil && a == e.addr && m == e.mac && port == e.port && e.requests == 0 && (e.said || !said) {
		e.heard = true
		return
	}
	if n.closed {
		return
	}
	e := n.table[a]
	switch {
	case e == nil:
		e = &neighbour{addr: a}
		n.table[a] = e
		n.plugLocked(e, port)
	case !e.known:
		n.asked.Remove(e.place)
		n.plugLocked(e, port)
	case e.port != port:
		n.unplugLocked(e)
		n.plugLocked(e, port)
	}
	e.said = said || e.said && e.mac == m
	e.mac, e.known, e.heard = m, true, true
	n.last = e
	e.answered()
	for _, f := range e.waiting {
		copy(f, m[:])
		n.send(f)
	}
	e.waiting, e.size = nil, 0
}

// plugLocked gives e a place among those of a port.
func (n *neighbours) plugLocked(e *neighbour, port Port) {
	if l := n.ports[port]; l != nil && l.Len() >= n.most {
		n.forgetLocked(l.Front().Value.(*neighbour))
	}
	l := n.ports[port]
	if l == nil {
		l = list.New()
		n.ports[port] = l
	}
	e.port, e.place = port, l.PushBack(e)
}

// unplugLocked takes the place of e, which is known.
func (n *neighbours) unplugLocked(e *neighbour) {
	l := n.ports[e.port]
	l.Remove(e.place)
	if l.Len() == 0 {
		delete(n.ports, e.port)
	}
}

// forgetLocked removes e, and returns what waited for it.
func (n *neighbours) forgetLocked(e *neighbour) (waited [][]byte) {
	if e.known {
		n.unplugLocked(e)
	} else {
		n.asked.Remove(e.place)
	}
	delete(n.table, e.addr)
	if n.last == e {
		n.last = nil
	}
	e.answered()
	return e.waiting
}

// gone forgets who was on a Port.
func (n *neighbours) gone(port Port) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for l := n.ports[port]; l != nil && l.Len() > 0; {
		n.forgetLocked(l.Front().Value.(*neighbour))
	}
}

// lookup is the Ethernet address to which a packet for a is sent. It is false
// if that is not known yet, and the packet has to wait.
func (n *neighbours) lookup(a netip.Addr) (MAC, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e := n.last
	if e == nil || e.addr != a {
		e = n.table[a]
	}
	if e != nil && e.known {
		n.useLocked(e)
		return e.mac, true
	}
	if n.fallback == (MAC{}) {
		return MAC{}, false
	}
	if e == nil && !n.closed {
		n.wantLocked(a)
	}
	return n.fallback, true
}

// useLocked notes that something is sent to e, which is known.
func (n *neighbours) useLocked(e *neighbour) {
	if !e.used {
		e.used = true
		n.watchLocked()
	}
}

// has tells whether a is known, or being asked for.
func (n *neighbours) has(a netip.Addr) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.table[a] != nil
}

// known is the Ethernet address of a, if it is known.
func (n *neighbours) known(a netip.Addr) (MAC, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if e := n.table[a]; e != nil && e.known {
		return e.mac, true
	}
	return MAC{}, false
}
