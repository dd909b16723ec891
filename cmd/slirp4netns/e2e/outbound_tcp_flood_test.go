package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// A flood of SYNs from invented addresses to where nobody answers takes a
// bounded number of sockets, and neither hinders a connection that is meant nor
// ends one that there is.
func TestTCPFloodOfInventedSources(t *testing.T) {
	g, s := connectedGuest(t)
	addr := listenInet(t, func(c *net.TCPConn) { c.Write([]byte("ok")) })
	old, peer := pairUp(t, g)
	f := newFrames(t, g)
	const flood, most = 20_000, 4096
	to := netip.MustParseAddrPort(silentAddr + ":80")
	for i := range flood {
		f.sendFrom(netip.AddrFrom4([4]byte{172, 16, byte(i >> 8), byte(i)}), unix.IPPROTO_TCP, to)
		if i%100 == 0 {
			time.Sleep(5 * time.Millisecond) // the TAP's queue holds 1000 frames
		}
		if i%2000 != 1999 {
			continue
		}
		start := time.Now()
		got, err := readAll(mustDial(t, g, addr.String()))
		if d := time.Since(start); got != "ok" || d > 200*time.Millisecond {
			t.Errorf("after %d SYNs: %q, %v after %v, want ok within 200 ms", i+1, got, err, d)
		}
	}
	waiting := strings.Count(onHost(t, "ss", "-tnH", "state", "syn-sent"), "\n")
	t.Logf("%d of %d are under way, %d descriptors", waiting, flood, openDescriptors(t, s.Process.Pid))
	if waiting > most || waiting < most/4 {
		t.Errorf("%d connections are under way, want some, but %d at most", waiting, most)
	}
	if _, err := fmt.Fprint(peer, "still here"); err != nil {
		t.Error(err)
	}
	b := make([]byte, 10)
	old.SetReadDeadline(time.Now().Add(3 * time.Second))
	if n, err := old.Read(b); string(b[:n]) != "still here" {
		t.Errorf("the old connection: %q, %v", b[:n], err)
	}
}

// A guest that leaves it to us to cut up what it sends (UDP_SEGMENT, udp(7)) is
// understood: each piece is a datagram.
func TestUDPSegments(t *testing.T) {
	g, _ := connectedGuest(t)
	server := newUDP(t, lab.Inet)
	server.bind("198.51.100.2:0")
	s := newUDP(t, g)
	s.set(unix.IPPROTO_UDP, unix.UDP_SEGMENT, 1000)
	var sent, got strings.Builder
	for i := range 40 {
		sent.WriteString(strings.Repeat(string(rune('A'+i)), 1000))
	}
	sent.WriteString("end")
	if err := s.send(sent.String(), server.name()); err != nil {
		t.Fatal(err)
	}
	for !strings.HasSuffix(got.String(), "end") {
		b, from := server.receiveBytes(2 * time.Second)
		if from == "" {
			t.Fatalf("%d of %d bytes came", got.Len(), sent.Len())
		}
		if len(b) != 1000 && len(b) != 3 {
			t.Errorf("a datagram of %d bytes", len(b))
		}
		got.Write(b)
	}
	if got.String() != sent.String() {
		t.Error("what came is not what was sent")
	}
}
