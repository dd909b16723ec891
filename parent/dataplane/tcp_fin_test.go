package dataplane

import (
	"io"
	"net"
	"testing"
)

// The guest's end is acknowledged by ours where that is there at once. The
// server's goroutine may be late, but not each time.
func TestTCPEndAcknowledgedByEnd(t *testing.T) {
	for range 20 {
		g := newGuest(t, nil)
		r := newRawTCP(g, serve(t, func(c *net.TCPConn) { io.Copy(io.Discard, c) }))
		r.connect("")
		r.send(ack|fin, "")
		if r.await("an acknowledgement", ack).Flags().Contains(fin) {
			return
		}
	}
	t.Error("each of 20 ends was acknowledged by a packet of its own")
}

// It is acknowledged soon where ours does not come, with data before it and
// without.
func TestTCPEndAcknowledged(t *testing.T) {
	for _, data := range []string{"", "x"} {
		open := make(chan struct{})
		g := newGuest(t, nil)
		r := newRawTCP(g, serve(t, func(*net.TCPConn) { <-open }))
		r.connect("")
		before := r.seq
		r.send(ack|fin, data)
		if got, want := r.await("an acknowledgement", ack), before+uint32(len(data))+1; got.AckNumber() != want || got.Flags() != ack {
			t.Errorf("data %q: %v of %d, want ACK of %d", data, got.Flags(), got.AckNumber(), want)
		}
		r.silent("an end that is acknowledged")
		close(open)
	}
}

// The guest's end behind ours, and one that crosses it, are acknowledged before
// the connection is forgotten.
func TestTCPLastEndAcknowledged(t *testing.T) {
	for name, crosses := range map[string]bool{"behind": false, "crossing": true} {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				g := newGuest(t, nil)
				r := newRawTCP(g, serve(t, func(*net.TCPConn) {}))
				r.connect("")
				end := r.await("the server's end", ack|fin)
				next := end.SequenceNumber() + 1
				if !crosses {
					r.ack = next
				}
				r.send(ack|fin, "")
				r.seq++
				if crosses {
					r.ack = next
					r.send(ack, "")
				}
				got := r.await("an acknowledgement", ack)
				for got.Flags().Contains(fin) { // once more
					got = r.await("an acknowledgement", ack)
				}
				if got.AckNumber() != r.seq {
					t.Fatalf("%v of %d, want %d", got.Flags(), got.AckNumber(), r.seq)
				}
			}
		})
	}
}
