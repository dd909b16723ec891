package dhcp

import (
	"net/netip"
	"testing"
)

// near is what the link knows, and which addresses it was told to ask for.
type near struct {
	speakers map[netip.Addr]speaker
	asked    []netip.Addr
}

type speaker struct {
	mac
	said bool
}

func (n *near) Speaker(a netip.Addr) (m [6]byte, said, known bool) {
	s, known := n.speakers[a]
	return s.mac, s.said, known
}

func (n *near) Ask(a netip.Addr) { n.asked = append(n.asked, a) }

func (n *near) Left(a netip.Addr, m [6]byte) {
	if n.speakers[a].mac == m {
		delete(n.speakers, a)
	}
}

// speaks is a client's ARP message that an address is its own.
func (n *near) speaks(id int, addr string) {
	n.speakers[netip.MustParseAddr(addr)] = speaker{mac(client{id: id}.message().ClientHWAddr), true}
}

// passes is another frame of a client's from an address.
func (n *near) passes(id int, addr string) {
	n.speakers[netip.MustParseAddr(addr)] = speaker{mac(client{id: id}.message().ClientHWAddr), false}
}

// isAsked wants one address to have been asked for since the last time, or none.
func (n *near) isAsked(t *testing.T, addr string) {
	t.Helper()
	got := ""
	for _, a := range n.asked {
		got += a.String()
	}
	if got != addr {
		t.Errorf("asked for %q, want %q", got, addr)
	}
	n.asked = nil
}

// neighbours gives the server a link.
func (r *rig) neighbours() *near {
	n := &near{speakers: map[netip.Addr]speaker{}}
	r.pool.near = n
	return n
}

// Who has taken an address by himself is left with it, and may have it from us.
func TestNeighbourKeepsItsAddress(t *testing.T) {
	const static = 9
	for _, c := range []struct {
		name  string
		reply string
		client
	}{
		{"an offer", "OFFER 10.0.2.16", client{kind: discover}},
		{"an offer of it", "OFFER 10.0.2.16", client{kind: discover, wanted: "10.0.2.15"}},
		{"an offer of another", "OFFER 10.0.2.20", client{kind: discover, wanted: "10.0.2.20"}},
		{"an offer to itself", "OFFER 10.0.2.15", client{id: static, kind: discover}},
		{"selecting", "NAK", client{kind: ask, wanted: "10.0.2.15", server: self}},
		{"rebooted", "NAK", client{kind: ask, wanted: "10.0.2.15"}},
		{"renewed", "NAK", client{kind: ask, current: "10.0.2.15"}},
		{"renewed by itself", "ACK 10.0.2.15", client{id: static, kind: ask, current: "10.0.2.15"}},
		{"BOOTP", "ACK 10.0.2.16", client{}},
		{"BOOTP of it", "ACK 10.0.2.16", client{current: "10.0.2.15"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, "10.0.2.0/24")
			r.neighbours().speaks(static, "10.0.2.15")
			if c.id == 0 {
				c.id = 1
			}
			if c.kind != none {
				r.want(c.reply, c.client)
				return
			}
			m, _ := r.send(c.client)
			if got := "ACK " + m.YourIPAddr.String(); got != c.reply {
				t.Errorf("%s, want %s", got, c.reply)
			}
		})
	}
}

// A machine that has said nothing is asked for before its address is offered.
// When it answers, the client starts again.
func TestNeighbourAskedFor(t *testing.T) {
	r := newRig(t, "10.0.2.0/24")
	n := r.neighbours()
	r.want("OFFER 10.0.2.15", client{id: 1, kind: discover})
	n.isAsked(t, "10.0.2.15")
	n.speaks(9, "10.0.2.15")
	r.want("NAK", client{id: 1, kind: ask, wanted: "10.0.2.15", server: self})
	n.isAsked(t, "")
	r.bind(1, "10.0.2.16")
	n.isAsked(t, "10.0.2.16")
	n.speaks(1, "10.0.2.16")
	r.bind(1, "10.0.2.16")
	n.isAsked(t, "") // it has it itself
}

// A lease is of no use to a client when another machine speaks from its address.
func TestNeighbourTakesALease(t *testing.T) {
	r := newRig(t, "10.0.2.0/24")
	n := r.neighbours()
	r.bind(1, "10.0.2.15")
	n.speaks(9, "10.0.2.15")
	r.want("NAK", client{id: 1, kind: ask, wanted: "10.0.2.15"})
	r.bind(1, "10.0.2.16")
	r.want("OFFER 10.0.2.15", client{id: 9, kind: discover})
}

// It is not another machine's when just packets come from there by another
// Ethernet address: a client with two cards keeps what it has, and nobody else
// gets it.
func TestNeighbourByAnotherCard(t *testing.T) {
	r := newRig(t, "10.0.2.0/24")
	n := r.neighbours()
	r.bind(1, "10.0.2.15")
	n.passes(9, "10.0.2.15")
	r.want("ACK 10.0.2.15", client{id: 1, kind: ask, current: "10.0.2.15"})
	r.want("ACK 10.0.2.15", client{id: 1, kind: ask, wanted: "10.0.2.15"})
	r.want("OFFER 10.0.2.15", client{id: 1, kind: discover})
	r.want("OFFER 10.0.2.16", client{id: 2, kind: discover, wanted: "10.0.2.15"})
	n.passes(9, "10.0.2.17")
	r.want("OFFER 10.0.2.18", client{id: 3, kind: discover, wanted: "10.0.2.17"})
}

// What a client declines stays set aside for its time, and then for as long as
// the other is there.
func TestNeighbourAndDecline(t *testing.T) {
	r := newRig(t, "10.0.2.0/24")
	n := r.neighbours()
	r.bind(1, "10.0.2.15")
	n.speaks(9, "10.0.2.15")
	r.want("", client{id: 1, kind: decline, wanted: "10.0.2.15", server: self})
	r.want("NAK", client{id: 9, kind: ask, wanted: "10.0.2.15"}) // not even to itself
	r.bind(1, "10.0.2.16")
	r.time = r.time.Add(declineTime)
	r.want("OFFER 10.0.2.17", client{id: 2, kind: discover})
	delete(n.speakers, netip.MustParseAddr("10.0.2.15"))
	r.want("OFFER 10.0.2.15", client{id: 3, kind: discover})

	// The one that has declined had spoken already.
	n.speaks(3, "10.0.2.15")
	r.want("ACK 10.0.2.15", client{id: 3, kind: ask, wanted: "10.0.2.15", server: self})
	r.want("", client{id: 3, kind: decline, wanted: "10.0.2.15", server: self})
	r.time = r.time.Add(declineTime)
	r.want("OFFER 10.0.2.15", client{id: 4, kind: discover})
}

// Who gives an address up, or takes another one, no longer speaks from it.
func TestNeighbourLeaves(t *testing.T) {
	r := newRig(t, "10.0.2.0/24")
	n := r.neighbours()
	r.bind(1, "10.0.2.15")
	n.speaks(1, "10.0.2.15")
	r.want("", client{id: 1, kind: release, current: "10.0.2.15"})
	r.bind(2, "10.0.2.15")
	n.speaks(2, "10.0.2.15")
	r.want("ACK 10.0.2.20", client{id: 2, kind: ask, wanted: "10.0.2.20"})
	r.bind(3, "10.0.2.15")
	// A lease that is over is not given up: many clients do not renew.
	n.speaks(3, "10.0.2.15")
	r.time = r.time.Add(leaseTime)
	r.want("OFFER 10.0.2.16", client{id: 4, kind: discover})
	r.bind(3, "10.0.2.15")
}
