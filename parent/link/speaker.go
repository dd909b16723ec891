package link

import "net/netip"

// Speaker is the Ethernet address that a was heard from last; said tells that it
// said so itself, by ARP. To ask counts as sending something to a: who is silent
// is asked after a while, and forgotten when he is gone.
func (e *Endpoint) Speaker(a netip.Addr) (mac [6]byte, said, known bool) { return e.neigh.speaker(a) }

// Ask asks all who are there for the Ethernet address of a. Nothing waits for
// the answer, which is learnt as any other.
func (e *Endpoint) Ask(a netip.Addr) { e.neigh.ask(a, broadcastMAC) }

// Left forgets that a was heard from mac: it has given it up.
func (e *Endpoint) Left(a netip.Addr, mac [6]byte) { e.neigh.left(a, mac) }

func (n *neighbours) speaker(a netip.Addr) (m MAC, said, known bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e := n.table[a]
	if e == nil || !e.known {
		return MAC{}, false, false
	}
	if !e.used {
		e.heard = false // perhaps long ago
	}
	n.useLocked(e)
	return e.mac, e.said, true
}

func (n *neighbours) left(a netip.Addr, m MAC) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if e := n.table[a]; e != nil && e.known && e.mac == m {
		n.forgetLocked(e)
	}
}
