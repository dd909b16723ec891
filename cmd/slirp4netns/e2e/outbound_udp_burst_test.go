package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// bursts are sizes of datagrams that follow one another: equal ones, which
// travel in one piece where they can, and all that ends such a piece.
var bursts = []int{
	100, 100, 100, 100, 99, 100, 100, 101, 101, 0, 0, 1, 1, 1,
	1400, 1400, 1400, 1400, 1472, 1472, 1473, 1473, 1400, 9000, 9000, 1200, 1200, 1200, 1200, 1200, 5,
}

// TestUDPBursts sends many datagrams at a time out and in: each one comes as it
// was sent, and in order.
func TestUDPBursts(t *testing.T) {
	for _, addr := range []string{"198.51.100.2:0", "[2001:db8:100::2]:0"} {
		for _, mtu := range []string{"1500", "65520"} {
			t.Run(addr+", MTU "+mtu, func(t *testing.T) {
				g, _ := connectedGuest(t, "-6", "--mtu="+mtu)
				family := unix.AF_INET
				if addr[0] == '[' {
					family = unix.AF_INET6
				}
				server := newUDPOf(t, lab.Inet, family)
				server.bind(addr)
				s := newUDPOf(t, g, family)
				if err := s.send("hello", server.name()); err != nil {
					t.Fatal(err)
				}
				_, guest := server.receiveBytes(commandTimeout)
				for round := range 20 {
					exchangeBurst(t, round, s, server, server.name())
					exchangeBurst(t, round, server, s, guest)
					if t.Failed() {
						return
					}
				}
			})
		}
	}
}

// exchangeBurst sends bursts from one socket to the other's name.
func exchangeBurst(t *testing.T, round int, from, to *udpSocket, name string) {
	t.Helper()
	payload := func(i int) string { return strings.Repeat(fmt.Sprintf("%c", 'A'+(round+i)%50), bursts[i]) }
	for i := range bursts {
		if err := from.send(payload(i), name); err != nil {
			t.Fatalf("round %d, datagram %d of %d bytes: %v", round, i, bursts[i], err)
		}
	}
	for i := range bursts {
		got, src := to.receiveBytes(2 * time.Second)
		if want := payload(i); src == "" || string(got) != want {
			t.Errorf("round %d: datagram %d has %d bytes, want %d, from %q", round, i, len(got), len(want), src)
			return
		}
	}
}
