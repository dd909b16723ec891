package datagram

import (
	"bytes"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

// capture is a Link that keeps what is sent.
type capture struct {
	mtu     uint32
	partial bool
	// datagrams: it takes several in one piece
	datagrams bool
	hdrs      []link.VnetHdr
	sent      [][]byte
}

func (c *capture) Send(h *link.VnetHdr, hdr, payload []byte) bool {
	c.hdrs = append(c.hdrs, *h)
	c.sent = append(c.sent, append(append([]byte(nil), hdr...), payload...))
	return true
}
func (c *capture) TakesPartialChecksums() bool { return c.partial }
func (c *capture) TakesDatagrams(bool) bool    { return c.datagrams }
func (c *capture) MTU() uint32                 { return c.mtu }

var (
	peer  = netip.MustParseAddrPort("198.51.100.2:53")
	guest = netip.MustParseAddrPort("10.0.2.100:4444")
)

func valid(t *testing.T, b []byte) header.IPv4 {
	t.Helper()
	ip := header.IPv4(b)
	if !ip.IsValid(len(b)) || !ip.IsChecksumValid() || int(ip.TotalLength()) != len(b) {
		t.Fatalf("not a valid packet: % x", b[:min(len(b), 28)])
	}
	return ip
}

func TestUDPWhole(t *testing.T) {
	for _, partial := range []bool{false, true} {
		for _, n := range []int{0, 1, 2, 1471, 1472} {
			c := &capture{mtu: 1500, partial: partial}
			payload := bytes.Repeat([]byte{0xa5}, n)
			New(c).UDP(peer, guest, payload, Meta{TTL: 7, TOS: 0x10})
			if len(c.sent) != 1 {
				t.Fatalf("%d packets, want 1", len(c.sent))
			}
			ip := valid(t, c.sent[0])
			if ip.TTL() != 7 {
				t.Errorf("TTL %d, want 7", ip.TTL())
			}
			u := header.UDP(ip.Payload())
			if !bytes.Equal(u.Payload(), payload) || u.SourcePort() != 53 || u.DestinationPort() != 4444 {
				t.Errorf("%d bytes: wrong datagram", n)
			}
			if partial {
				if h := c.hdrs[0]; !h.NeedsCsum || h.CsumStart != 20 || h.CsumOffset != 6 {
					t.Errorf("virtio-net header %+v", h)
				}
				// What the guest's kernel would fill in.
				u.SetChecksum(^checksum.Checksum(u, 0))
			}
			if !u.IsChecksumValid(ip.SourceAddress(), ip.DestinationAddress(), checksum.Checksum(u.Payload(), 0)) {
				t.Errorf("%d bytes, partial %v: bad checksum", n, partial)
			}
		}
	}
}

func TestUDPFragments(t *testing.T) {
	for _, mtu := range []uint32{68, 576, 1500} {
		c := &capture{mtu: mtu, partial: true}
		payload := make([]byte, 9001)
		for i := range payload {
			payload[i] = byte(i * 7)
		}
		New(c).UDP(peer, guest, payload, Meta{})
		var whole []byte
		for i, b := range c.sent {
			ip := valid(t, b)
			if len(b) > int(mtu) {
				t.Errorf("MTU %d: fragment of %d bytes", mtu, len(b))
			}
			if int(ip.FragmentOffset()) != len(whole) {
				t.Errorf("MTU %d: fragment %d has offset %d, want %d", mtu, i, ip.FragmentOffset(), len(whole))
			}
			if last := i == len(c.sent)-1; ip.More() == last {
				t.Errorf("MTU %d: fragment %d of %d: more fragments %v", mtu, i, len(c.sent), ip.More())
			}
			if ip.ID() != header.IPv4(c.sent[0]).ID() {
				t.Error("fragments of different datagrams")
			}
			whole = append(whole, ip.Payload()...)
		}
		u := header.UDP(whole)
		ip := header.IPv4(c.sent[0])
		if !bytes.Equal(u.Payload(), payload) || !u.IsChecksumValid(ip.SourceAddress(), ip.DestinationAddress(), checksum.Checksum(u.Payload(), 0)) {
			t.Errorf("MTU %d: the datagram is not what was sent", mtu)
		}
	}
}

func TestError(t *testing.T) {
	build := func(src, dst string, proto uint8, change func([]byte)) []byte {
		b := make([]byte, 700)
		f := ipFields{src: netip.MustParseAddr(src), dst: netip.MustParseAddr(dst), proto: proto, ttl: 64}
		f.encode(b[:20], len(b)-20)
		if change != nil {
			change(b)
		}
		return b
	}
	for _, c := range []struct {
		name   string
		packet []byte
		want   bool
	}{
		{"about UDP", build("10.0.2.100", "198.51.100.2", 17, nil), true},
		{"about an echo request", build("10.0.2.100", "198.51.100.2", 1, func(b []byte) { b[20] = 8 }), true},
		{"about an ICMP error", build("10.0.2.100", "198.51.100.2", 1, func(b []byte) { b[20] = 3 }), false},
		{"about an echo reply", build("10.0.2.100", "198.51.100.2", 1, nil), false},
		{"about a later fragment", build("10.0.2.100", "198.51.100.2", 17, func(b []byte) { b[7] = 1 }), false},
		{"to a broadcast source", build("255.255.255.255", "198.51.100.2", 17, nil), false},
		{"to no source", build("0.0.0.0", "198.51.100.2", 17, nil), false},
		{"to a multicast source", build("224.0.0.1", "198.51.100.2", 17, nil), false},
		{"about a multicast packet", build("10.0.2.100", "224.0.0.1", 17, nil), false},
		{"about rubbish", []byte{0x45}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &capture{mtu: 1500}
			New(l).Error(ICMPError{Type: TypeUnreachable, Code: CodeFragmentationNeeded, MTU: 1400, Offender: peer.Addr()}, c.packet)
			if got := len(l.sent) == 1; got != c.want {
				t.Fatalf("sent: %v, want %v", got, c.want)
			}
			if !c.want {
				return
			}
			ip := valid(t, l.sent[0])
			m := header.ICMPv4(ip.Payload())
			if checksum.Checksum(m, 0) != 0xffff || m.Type() != 3 || m.Code() != 4 || m.MTU() != 1400 {
				t.Errorf("wrong message % x", m[:8])
			}
			if !bytes.Equal(m.Payload(), c.packet[:QuoteMax]) {
				t.Error("wrong quotation")
			}
		})
	}
}

// sink takes everything.
type sink struct{}

func (sink) Send(*link.VnetHdr, []byte, []byte) bool { return true }
func (sink) TakesPartialChecksums() bool             { return true }
func (sink) TakesDatagrams(bool) bool                { return true }
func (sink) MTU() uint32                             { return 1500 }

// What is done for each datagram allocates nothing, apart from the race
// detector's sync.Pool, which loses a quarter of what is put into it.
func TestAllocations(t *testing.T) {
	s := New(sink{})
	a, b := netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("10.0.2.100:2")
	small, large := make([]byte, 1000), make([]byte, 9000)
	if n := testing.AllocsPerRun(100, func() {
		s.UDP(a, b, small, Meta{})
		s.UDP(a, b, large, Meta{})
		s.EchoReply(a.Addr(), b.Addr(), small, Meta{})
	}); n > 2 {
		t.Errorf("%v allocations, want none", n)
	}
}
