package dhcp

import (
	"fmt"
	"testing"
	"time"
)

// smallRig is a server of three addresses, .15 to .17, each the lease of the
// client at the port of that number less 14, who got it a minute apart.
func smallRig(t *testing.T) *rig {
	r := newRig(t, "10.0.2.0/24")
	r.pool.last = r.pool.first.Next().Next()
	for i := 1; i <= 3; i++ {
		r.bindAt(i, Port(i), fmt.Sprintf("10.0.2.%d", 14+i))
		r.time = r.time.Add(time.Minute)
	}
	return r
}

// bindAt is bind of a client at a port.
func (r *rig) bindAt(id int, port Port, addr string) {
	r.t.Helper()
	r.want("OFFER "+addr, client{id: id, kind: discover, port: port})
	r.want("ACK "+addr, client{id: id, kind: ask, wanted: addr, server: self, port: port})
}

// leave has the client at a port go, a minute after the last.
func (r *rig) leave(ports ...Port) {
	for _, p := range ports {
		r.Gone(p)
		r.time = r.time.Add(time.Minute)
	}
}

// While there is room a lease is kept for who is gone. Then that goes which was
// left alone longest.
func TestGone(t *testing.T) {
	r := smallRig(t)
	r.want("", client{id: 4, kind: discover, port: 4})
	r.leave(3, 1)
	r.want("NAK", client{id: 4, kind: ask, wanted: "10.0.2.15", port: 4}) // it may come back
	r.bindAt(4, 4, "10.0.2.17")
	r.bindAt(5, 5, "10.0.2.15")
	r.want("", client{id: 6, kind: discover, port: 6})
	r.want("NAK", client{id: 3, kind: ask, wanted: "10.0.2.17", port: 7}) // back, too late
	r.want("", client{id: 3, kind: discover, port: 7})

	r = newRig(t, "10.0.2.0/24")
	r.bindAt(1, 1, "10.0.2.15")
	r.leave(1)
	r.bindAt(2, 2, "10.0.2.16")
	r.bindAt(1, 3, "10.0.2.15")
}

// Who is back has its lease as before.
func TestGoneAndBack(t *testing.T) {
	for name, back := range map[string]client{
		"an offer": {id: 1, kind: discover, port: 8},
		"rebooted": {id: 1, kind: ask, wanted: "10.0.2.15", port: 8},
		"renewed":  {id: 1, kind: ask, current: "10.0.2.15", port: 8},
	} {
		t.Run(name, func(t *testing.T) {
			r := smallRig(t)
			r.leave(1)
			if m, _ := r.send(back); m == nil || m.YourIPAddr.String() != "10.0.2.15" {
				t.Fatalf("%v, want 10.0.2.15", m)
			}
			r.want("", client{id: 4, kind: discover, port: 4})
			r.leave(1) // its old port says nothing about it
			r.want("", client{id: 4, kind: discover, port: 4})
			r.leave(8)
			r.want("OFFER 10.0.2.15", client{id: 4, kind: discover, port: 4})
		})
	}
	// It is back, and has not asked us.
	r := smallRig(t)
	n := r.neighbours()
	r.leave(1, 2)
	n.speaks(1, "10.0.2.15")
	r.bindAt(4, 4, "10.0.2.16")
	r.want("", client{id: 5, kind: discover, port: 5})
}

// The table of leases is a bound like the network's.
func TestGoneMakesRoomInTheTable(t *testing.T) {
	r := newRig(t, "10.0.0.0/8")
	for i := range maxLeases {
		r.want(fmt.Sprintf("ACK 10.1.%d.%d", i>>8, i&255),
			client{id: i + 1, kind: ask, wanted: fmt.Sprintf("10.1.%d.%d", i>>8, i&255), port: Port(i + 1)})
	}
	r.want("", client{id: 9999, kind: discover})
	r.leave(77, 76)
	r.want("OFFER 10.0.0.15", client{id: 9999, kind: discover})
	r.want("ACK 10.0.0.15", client{id: 9999, kind: ask, wanted: "10.0.0.15"})
	r.want("ACK 10.1.0.75", client{id: 76, kind: ask, current: "10.1.0.75", port: 2000})
	r.want("", client{id: 9998, kind: discover})
	if n := len(r.pool.byAddr); n != maxLeases {
		t.Errorf("%d leases, want %d", n, maxLeases)
	}
}

// What was declined is nobody's, and nobody's port can go.
func TestGoneAndDecline(t *testing.T) {
	r := smallRig(t)
	r.want("", client{id: 1, kind: decline, wanted: "10.0.2.15", server: self, port: 1})
	r.leave(1)
	r.want("", client{id: 4, kind: discover, port: 4})
}
