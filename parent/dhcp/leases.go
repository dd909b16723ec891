package dhcp

import (
	"encoding/binary"
	"net/netip"
	"time"
)

const (
	// leaseTime is how long an address is the client's; the C program's.
	leaseTime = 24 * time.Hour
	// offerTime is how long an offer is kept for the client's request.
	offerTime = time.Minute
	// declineTime is how long an address is not used that a client has found
	// to be in use.
	declineTime = 10 * time.Minute
	// maxLeases bounds the table: a guest may make up clients.
	maxLeases = 1024
)

// mac is a client's Ethernet address, by which it is known.
type mac [6]byte

// lease is an address that is somebody's until it expires.
type lease struct {
	addr    netip.Addr
	owner   mac // the zero mac: nobody's, but in use
	bound   bool
	expires time.Time
	port    Port      // where the owner is plugged in
	gone    time.Time // since when it is not any more; zero: it is
}

// pool are the addresses that may be given away, and to whom they are.
type pool struct {
	first, last netip.Addr // inclusive
	never       []netip.Addr
	near        Neighbours

	byAddr  map[netip.Addr]*lease
	byOwner map[mac]*lease
}

func newPool(first, last netip.Addr, near Neighbours, never ...netip.Addr) *pool {
	return &pool{first: first, last: last, never: never, near: near, byAddr: map[netip.Addr]*lease{}, byOwner: map[mac]*lease{}}
}

// contains tells whether a may be given away at all.
func (p *pool) contains(a netip.Addr) bool {
	if !a.Is4() || a.Less(p.first) || p.last.Less(a) {
		return false
	}
	for _, n := range p.never {
		if a == n {
			return false
		}
	}
	return true
}

// free tells whether m may have a.
func (p *pool) free(a netip.Addr, m mac, now time.Time) bool {
	if !p.contains(a) {
		return false
	}
	if l := p.byAddr[a]; l != nil && l.owner != m && now.Before(l.expires) {
		return false
	}
	return !p.foreign(a, m)
}

// choose finds an address for m: the one that it wants, the one that it had,
// the lowest, or that of who is gone.
func (p *pool) choose(m mac, wanted netip.Addr, now time.Time) (netip.Addr, bool) {
	if p.free(wanted, m, now) {
		return wanted, true
	}
	if l := p.byOwner[m]; l != nil && p.free(l.addr, m, now) {
		return l.addr, true
	}
	for a := p.first; !p.last.Less(a); a = a.Next() {
		if p.free(a, m, now) {
			return a, true
		}
	}
	if l := p.spare(m); l != nil {
		return l.addr, true
	}
	return netip.Addr{}, false
}

// take makes a lease of an address that was chosen, or is free. It reports
// false when the table is full.
func (p *pool) take(l lease, now time.Time) bool {
	if old := p.byOwner[l.owner]; old != nil {
		p.drop(old)
		if old.addr != l.addr {
			p.left(old.addr, l.owner)
		}
	}
	if old := p.byAddr[l.addr]; old != nil {
		p.drop(old)
	}
	if len(p.byAddr) >= maxLeases && !p.makeRoom(now) {
		return false
	}
	p.byAddr[l.addr] = &l
	if l.owner != (mac{}) {
		p.byOwner[l.owner] = &l
	}
	return true
}

// makeRoom drops what has expired, or else the oldest offer, or else the lease
// of who is gone.
func (p *pool) makeRoom(now time.Time) bool {
	var oldest *lease
	n := len(p.byAddr)
	for _, l := range p.byAddr {
		if !now.Before(l.expires) {
			p.drop(l)
		} else if !l.bound && l.owner != (mac{}) && (oldest == nil || l.expires.Before(oldest.expires)) {
			oldest = l
		}
	}
	if len(p.byAddr) == n && oldest == nil {
		oldest = p.spare(mac{})
	}
	if len(p.byAddr) == n && oldest != nil {
		p.drop(oldest)
	}
	return len(p.byAddr) < n
}

func (p *pool) drop(l *lease) {
	delete(p.byAddr, l.addr)
	if p.byOwner[l.owner] == l {
		delete(p.byOwner, l.owner)
	}
}

// LastOf is the last address of a network before its broadcast address.
func LastOf(p netip.Prefix) netip.Addr {
	a := p.Masked().Addr().As4()
	v := binary.BigEndian.Uint32(a[:]) | (1<<(32-p.Bits()) - 1)
	binary.BigEndian.PutUint32(a[:], v-1)
	return netip.AddrFrom4(a)
}
