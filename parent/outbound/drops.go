package outbound

import "sync/atomic"

// Drop is why a packet of the guest's goes nowhere.
type Drop int

const (
	// DropHostLoopback: --disable-host-loopback.
	DropHostLoopback Drop = iota
	// DropDNS: it is for the nameserver, and there is none (--disable-dns).
	DropDNS
	// DropNotDNS: it is for another port of the nameserver.
	DropNotDNS
	// DropDestination: no router forwards packets to that address, or the
	// guest's system should not have sent one there.
	DropDestination
	// DropExpired: the hops that it was given are used up.
	DropExpired
	// DropFull: there are as many connections as there may be.
	DropFull
	// DropProtocol: it is of no protocol that has a way out.
	DropProtocol
	// DropMalformed: a length is not what it says, or flags make no sense.
	DropMalformed
	// DropChecksum: a checksum is wrong that the link leaves to us.
	DropChecksum
	drops
)

// Drops counts packets. A nil one does not.
type Drops [drops]atomic.Uint64

// Add notes one packet.
func (d *Drops) Add(why Drop) {
	if d != nil {
		d[why].Add(1)
	}
}

// Count is how many there were so far.
func (d *Drops) Count(why Drop) uint64 { return d[why].Load() }
