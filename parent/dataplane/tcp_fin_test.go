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
