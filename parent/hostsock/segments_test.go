package hostsock

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestSendSegments(t *testing.T) {
	if !Segments() {
		t.Fatal("this kernel has no UDP_SEGMENT: Linux 4.18 or later is needed for this test")
	}
	fd, peer, to := pair(t)
	local := Local{Addr: netip.MustParseAddr("127.77.1.1")}
	for _, c := range []struct {
		name       string
		size, last int
		pieces     int
		ctrl       []byte
	}{
		{"equal", 100, 100, 5, nil},
		{"the last one short", 1400, 1, 40, nil},
		{"the most at once", 1, 1, MaxSegments, nil},
		{"with a source", 64, 10, 3, local.Control()},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := make([]byte, c.size*(c.pieces-1)+c.last)
			for i := range b {
				b[i] = byte(i / c.size)
			}
			if errno := SendSegments(fd, b, c.size, to, c.ctrl); errno != 0 {
				t.Fatal(errno)
			}
			got := make([]byte, MaxDatagram)
			for i := range c.pieces {
				peer.SetReadDeadline(time.Now().Add(5 * time.Second))
				n, from, err := peer.ReadFromUDPAddrPort(got)
				if err != nil {
					t.Fatalf("datagram %d: %v", i, err)
				}
				if want := b[i*c.size : min((i+1)*c.size, len(b))]; !bytes.Equal(got[:n], want) {
					t.Errorf("datagram %d has %d bytes, want %d of %d", i, n, len(want), want[0])
				}
				if c.ctrl != nil && from.Addr().Unmap() != local.Addr {
					t.Errorf("datagram %d is from %v, want %v", i, from, local.Addr)
				}
			}
		})
	}
	if errno := SendSegments(fd, make([]byte, MaxDatagram), 100, to, nil); errno == 0 {
		t.Error("more than the kernel takes were sent")
	}
	if errno := SendSegments(fd, make([]byte, 10), 5, to, make([]byte, maxControl)); errno != unix.EINVAL {
		t.Errorf("ancillary data without room for more: %v, want EINVAL", errno)
	}
}
