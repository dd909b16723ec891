package dhcp

import "net/netip"

// Neighbours are the machines on the link, by the addresses that they speak
// from, whoever gave them these.
type Neighbours interface {
	// Speaker is the Ethernet address that a was heard from last. said tells that
	// it has said by ARP that a is its own; other packets may have been sent by
	// another way. Who is asked about and has gone is forgotten some time later.
	Speaker(a netip.Addr) (mac [6]byte, said, known bool)
	// Ask asks all machines who has a. The answer makes a Speaker.
	Ask(a netip.Addr)
	// Left tells that mac no longer speaks from a.
	Left(a netip.Addr, mac [6]byte)
}

// foreign tells whether another machine than m speaks from a. It does not count
// what comes from the address of m's own lease by another of its Ethernet
// addresses: it may have two cards, or be behind a relay.
func (p *pool) foreign(a netip.Addr, m mac) bool {
	if p.near == nil {
		return false
	}
	speaker, said, known := p.near.Speaker(a)
	if l := p.byAddr[a]; !said && l != nil && l.bound && l.owner == m {
		return false
	}
	return known && speaker != m
}

// probe asks for a machine that has a, which is about to be offered, and has
// said nothing yet (RFC 2131, section 3.1, point 2). The offer does not wait for
// the answer; the request that follows it meets it.
func (p *pool) probe(a netip.Addr) {
	if p.near == nil {
		return
	}
	if _, _, known := p.near.Speaker(a); !known {
		p.near.Ask(a)
	}
}

// left tells the link that m has given a up.
func (p *pool) left(a netip.Addr, m mac) {
	if p.near != nil {
		p.near.Left(a, m)
	}
}
