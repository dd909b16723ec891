package link

import (
	"net/netip"
	"sync"
)

// MAC is an Ethernet address.
type MAC [6]byte

var (
	broadcastMAC = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	broadcast4   = netip.AddrFrom4([4]byte{255, 255, 255, 255})
)

// maxNeighbours bounds the table below. A namespace has a handful of
// addresses; the bound is for a guest that makes them up.
const maxNeighbours = 1024

// neighbours maps guest addresses to Ethernet addresses. It learns from what
// the guest sends, so that an answer always finds its way. When it is full the
// oldest entry goes.
type neighbours struct {
	mu       sync.Mutex
	table    map[netip.Addr]MAC // guarded by mu
	order    []netip.Addr       // guarded by mu; a ring once it is full
	next     int                // guarded by mu; index of the oldest in order
	lastAddr netip.Addr         // guarded by mu; what learn saw last
	lastMAC  MAC                // guarded by mu
	fallback MAC                // for addresses that have not been seen
}

func newNeighbours(fallback MAC) *neighbours {
	return &neighbours{table: make(map[netip.Addr]MAC), fallback: fallback}
}

// learn notes that a was sent from m.
func (n *neighbours) learn(a netip.Addr, m MAC) {
	if m[0]&1 != 0 || a == broadcast4 || !a.IsValid() || a.IsUnspecified() || a.IsMulticast() {
		return // a group address is nobody's
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if a == n.lastAddr && m == n.lastMAC {
		return
	}
	n.lastAddr, n.lastMAC = a, m
	if _, ok := n.table[a]; !ok {
		if len(n.order) < maxNeighbours {
			n.order = append(n.order, a)
		} else {
			delete(n.table, n.order[n.next])
			n.order[n.next] = a
			n.next = (n.next + 1) % maxNeighbours
		}
	}
	n.table[a] = m
}

// lookup is the Ethernet address to which a packet for a is sent.
func (n *neighbours) lookup(a netip.Addr) MAC {
	if a == broadcast4 {
		return broadcastMAC
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if a == n.lastAddr {
		return n.lastMAC
	}
	if m, ok := n.table[a]; ok {
		return m
	}
	return n.fallback
}
