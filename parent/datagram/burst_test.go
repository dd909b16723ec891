package datagram

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

var (
	peer2  = netip.MustParseAddrPort("198.51.100.2:54")
	peer6  = netip.MustParseAddrPort("[2001:db8::2]:53")
	guest6 = netip.MustParseAddrPort("[fd00::100]:4444")
)

// arrival is a datagram that is received.
type arrival struct {
	src, dst netip.AddrPort
	n        int
}

// piece is a packet of datagrams: how many bytes, and of how many each one is.
// A size of 0 stands for a single one.
type piece struct{ bytes, size int }

func from(p netip.AddrPort, sizes ...int) (all []arrival) {
	for _, n := range sizes {
		all = append(all, arrival{p, guest, n})
	}
	return all
}

func TestBurst(t *testing.T) {
	for _, c := range []struct {
		name     string
		arrivals []arrival
		hold     bool
		deaf     bool // the guest's kernel cuts nothing up
		want     []piece
	}{
		{"none", nil, true, false, nil},
		{"one", from(peer, 10), true, false, []piece{{10, 0}}},
		{"equal", from(peer, 10, 10, 10), true, false, []piece{{30, 10}}},
		{"the first is not held", from(peer, 10, 10, 10), false, false, []piece{{10, 0}, {20, 10}}},
		{"a short one is the last", from(peer, 10, 10, 3, 10, 10), true, false, []piece{{23, 10}, {20, 10}}},
		{"a longer one begins anew", from(peer, 10, 10, 11, 11), true, false, []piece{{20, 10}, {22, 11}}},
		{"an empty one stays alone", from(peer, 10, 0, 0, 10), true, false, []piece{{10, 0}, {0, 0}, {0, 0}, {10, 0}}},
		{"two peers", slices.Concat(from(peer, 5, 5), from(peer2, 5), from(peer, 5)), true, false, []piece{{10, 5}, {5, 0}, {5, 0}}},
		{"in fragments", from(peer, 1473, 1473, 10, 10), true, false, []piece{{1473, 0}, {1473, 0}, {20, 10}}},
		{"the largest", from(peer, 65507, 1472, 1472), true, false, []piece{{65507, 0}, {2944, 1472}}},
		{"as many as fit", from(peer, slices.Repeat([]int{1400}, 50)...), true, false, []piece{{46 * 1400, 1400}, {4 * 1400, 1400}}},
		{"as many as the kernel takes", from(peer, slices.Repeat([]int{2}, 65)...), true, false, []piece{{128, 2}, {2, 0}}},
		{"a guest that cuts nothing up", from(peer, 10, 10), true, true, []piece{{10, 0}, {10, 0}}},
		{"IPv6", []arrival{{peer6, guest6, 7}, {peer6, guest6, 7}, {peer6, guest6, 1}}, true, false, []piece{{15, 7}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &capture{mtu: 1500, partial: true, datagrams: !c.deaf}
			b := New(l).Burst(c.hold)
			var sent []byte
			for _, a := range c.arrivals {
				room := b.Room()
				for i := range a.n {
					room[i] = byte(len(sent))
					sent = append(sent, room[i])
				}
				b.Add(a.src, a.dst, a.n)
			}
			if n := b.End(); n != len(c.arrivals) {
				t.Errorf("%d datagrams, want %d", n, len(c.arrivals))
			}
			pieces, got := l.pieces(t)
			if !slices.Equal(pieces, c.want) {
				t.Errorf("sent as %v, want %v", pieces, c.want)
			}
			if !bytes.Equal(got, sent) {
				t.Error("the payload is not what was received")
			}
		})
	}
}

// pieces takes apart what was sent, fragments put together, and checks it.
func (c *capture) pieces(t *testing.T) (pieces []piece, payload []byte) {
	t.Helper()
	for i := 0; i < len(c.sent); i++ {
		h, b := c.hdrs[i], c.sent[i]
		var l3, l4 []byte
		var pseudo uint16
		if b[0]>>4 == 6 {
			l3, l4 = b[:header.IPv6MinimumSize], b[header.IPv6MinimumSize:]
			ip := header.IPv6(b)
			pseudo = header.PseudoHeaderChecksum(header.UDPProtocolNumber, ip.SourceAddress(), ip.DestinationAddress(), uint16(len(l4)))
			if int(ip.PayloadLength()) != len(l4) {
				t.Errorf("payload length %d, want %d", ip.PayloadLength(), len(l4))
			}
		} else {
			ip := valid(t, b)
			l3, l4 = b[:header.IPv4MinimumSize], slices.Clone(ip.Payload())
			for ; ip.More(); ip = valid(t, c.sent[i]) {
				i++
				l4 = append(l4, header.IPv4(c.sent[i]).Payload()...)
			}
			pseudo = header.PseudoHeaderChecksum(header.UDPProtocolNumber, ip.SourceAddress(), ip.DestinationAddress(), uint16(len(l4)))
		}
		u := header.UDP(l4)
		p := piece{bytes: len(u.Payload())}
		if int(u.Length()) != len(l4) {
			t.Errorf("UDP length %d, want %d", u.Length(), len(l4))
		}
		if h.GSO != 0 {
			p.size = int(h.SegSize)
			want := link.VnetHdr{NeedsCsum: true, GSO: link.GSOUDP, HdrLen: uint16(len(l3) + 8), SegSize: h.SegSize, CsumStart: uint16(len(l3)), CsumOffset: 6}
			if h != want {
				t.Errorf("virtio-net header %+v, want %+v", h, want)
			}
		}
		if h.NeedsCsum && u.Checksum() != pseudo {
			t.Errorf("checksum %#x, want that of the pseudo-header, %#x", u.Checksum(), pseudo)
		}
		if !h.NeedsCsum && checksum.Checksum(l4, pseudo) != 0xffff {
			t.Error("wrong checksum")
		}
		pieces = append(pieces, p)
		payload = append(payload, u.Payload()...)
	}
	return pieces, payload
}

// What is done for each datagram allocates nothing.
func TestBurstAllocations(t *testing.T) {
	s := New(sink{})
	if n := testing.AllocsPerRun(100, func() {
		b := s.Burst(true)
		for range 10 {
			b.Add(peer, guest, len(b.Room()[:100]))
		}
		b.End()
	}); n != 0 {
		t.Errorf("%v allocations for a burst, want none", n)
	}
}
