package dataplane

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// TestTCPCraftedSYNsBehindReset sends a burst of SYNs of one connection right
// behind a RST of its handshake: two goroutines take them. There is one flow
// for them, whose socket is gone at the end, and there is an end.
func TestTCPCraftedSYNsBehindReset(t *testing.T) {
	g := newGuest(t, nil)
	r := newRawTCP(g, netip.AddrPortFrom(gateway, 0))
	const rounds = 300
	for i := range rounds {
		// Room for one connection, which nobody accepts: further SYNs of the
		// host's are dropped, so flows wait for the host.
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			t.Fatal(err)
		}
		if err := unix.Listen(fd, 0); err != nil {
			t.Fatal(err)
		}
		sa, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		r.dst = netip.AddrPortFrom(gateway, uint16(sa.(*unix.SockaddrInet4).Port))
		r.src = netip.AddrPortFrom(r.src.Addr(), 7778+uint16(i))
		r.send(syn, "")
		for a := header.TCP(nil); a == nil || a.AckNumber() != r.seq+1; {
			a = r.await("SYN-ACK", syn|ack)
		}
		r.seq++
		r.send(rst, "")
		r.seq += 100_000
		for range 60 {
			r.seq += 7
			r.send(syn, "")
		}
		r.seq += 1_000_000
	}
	time.Sleep(200 * time.Millisecond)
	if n := g.plane.tcp.Len(); n > rounds {
		t.Errorf("%d connections for %d ports", n, rounds)
	}
	closed := make(chan struct{})
	go func() {
		g.plane.tcp.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(5 * time.Second):
		panic("Close does not return") // it would take all memory
	}
	for start := time.Now(); g.plane.tcp.Len() != 0; time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > 5*time.Second {
			t.Fatalf("%d connections are left after the end", g.plane.tcp.Len())
		}
	}
}
