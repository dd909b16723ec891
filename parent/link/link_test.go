package link

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/slirp4netns-go/slirp4netns/ipc/tun"
)

// sink plays netstack: it keeps what is delivered.
type sink struct{ packets [][]byte }

func (s *sink) DeliverNetworkPacket(_ tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	v := pkt.ToView()
	s.packets = append(s.packets, v.ToSlice())
	v.Release()
}
func (s *sink) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {}

// harness is an Endpoint over a socket pair, read by hand.
type harness struct {
	*reader
	netstack sink
	taken    [][]byte // what the Receiver took
	peer     int
}

func newHarness(t testing.TB, vnetLen int) *harness {
	t.Helper()
	h := &harness{}
	e := New(Config{
		MTU:    1500,
		Addrs:  []netip.Addr{netip.MustParseAddr("10.0.2.2"), netip.MustParseAddr("10.0.2.3")},
		IPv6:   true,
		Addrs6: []netip.Addr{netip.MustParseAddr("fe80::2"), netip.MustParseAddr("fd00::2"), netip.MustParseAddr("fd00::3")},
		Receive: func(p Packet) bool {
			if p.Proto == header.TCPProtocolNumber {
				return false
			}
			h.taken = append(h.taken, append([]byte(nil), p.Bytes...))
			return true
		},
	})
	e.Attach(&h.netstack)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	h.peer = fds[1]
	// A socket knows no offload; it is told that they are set.
	if err := e.Open(fds[0], tun.Features{Name: "pair", VnetHdrLen: vnetLen, Offload: tun.OffloadAll}); err != nil {
		t.Fatal(err)
	}
	h.reader = &reader{e: e, view: buffer.NewViewSize(viewSize)}
	t.Cleanup(func() { e.Close(); unix.Close(h.peer) })
	return h
}

// get hands the reader one frame.
func (h *harness) get(vnet VnetHdr, frame []byte) {
	var b []byte
	if n := h.e.vnetLen; n != 0 {
		b = make([]byte, n)
		if vnet.DataValid {
			b[0] = vnetDataValid
		}
		if vnet.NeedsCsum {
			b[0] |= vnetNeedsCsum
			binary.NativeEndian.PutUint16(b[6:], vnet.CsumStart+ethLen)
			binary.NativeEndian.PutUint16(b[8:], vnet.CsumOffset)
		}
		b[1] = vnet.GSO
	}
	b = append(b, frame...)
	copy(h.head[:], b)
	if rest := h.e.vnetLen + ethLen; len(b) > rest {
		copy(h.view.AsSlice(), b[rest:])
	}
	h.receive(len(b))
}

func ethernet(proto uint16, packet []byte) []byte {
	f := make([]byte, ethLen, ethLen+len(packet))
	copy(f, []byte{0x52, 0x55, 10, 0, 2, 2, 2, 0, 0, 0, 0, 1})
	binary.BigEndian.PutUint16(f[12:], proto)
	return append(f, packet...)
}

// packet builds an IPv4 packet with right checksums.
func packet(proto tcpip.TransportProtocolNumber, payload []byte) []byte {
	b := make([]byte, header.IPv4MinimumSize, header.IPv4MinimumSize+len(payload))
	ip := header.IPv4(b)
	ip.Encode(&header.IPv4Fields{TotalLength: uint16(cap(b)), TTL: 64, Protocol: uint8(proto),
		SrcAddr: tcpip.AddrFrom4([4]byte{10, 0, 2, 100}), DstAddr: tcpip.AddrFrom4([4]byte{198, 51, 100, 2})})
	ip.SetChecksum(^ip.CalculateChecksum())
	return append(b, payload...)
}

func udp(payload string) []byte {
	b := make([]byte, header.UDPMinimumSize+len(payload))
	u := header.UDP(b)
	u.Encode(&header.UDPFields{SrcPort: 1, DstPort: 2, Length: uint16(len(b))})
	copy(u.Payload(), payload)
	sum := header.PseudoHeaderChecksum(header.UDPProtocolNumber, tcpip.AddrFrom4([4]byte{10, 0, 2, 100}), tcpip.AddrFrom4([4]byte{198, 51, 100, 2}), uint16(len(b)))
	u.SetChecksum(^u.CalculateChecksum(checksum.Checksum(u.Payload(), sum)))
	return b
}

func TestReceiveChecks(t *testing.T) {
	good := packet(header.UDPProtocolNumber, udp("hello"))
	mutate := func(i int, v byte) []byte {
		b := append([]byte(nil), good...)
		b[i] ^= v
		return b
	}
	reheader := func(change func(header.IPv4)) []byte {
		b := append([]byte(nil), good...)
		ip := header.IPv4(b)
		change(ip)
		ip.SetChecksum(0)
		ip.SetChecksum(^ip.CalculateChecksum())
		return b
	}
	for _, c := range []struct {
		name     string
		vnetLen  int
		vnet     VnetHdr
		packet   []byte
		want     bool
		netstack bool
	}{
		{name: "good", packet: good, want: true},
		{name: "good, with a header", vnetLen: 10, packet: good, want: true},
		{name: "good, with a long header", vnetLen: 12, packet: good, want: true},
		{name: "padded", packet: append(good[:len(good):len(good)], make([]byte, 20)...), want: true},
		{name: "bad payload", packet: mutate(len(good)-1, 1)},
		{name: "bad payload, unvouched", vnetLen: 10, packet: mutate(len(good)-1, 1)},
		{name: "bad payload, vouched for", vnetLen: 10, vnet: VnetHdr{DataValid: true}, packet: mutate(len(good)-1, 1), want: true},
		{name: "partial checksum", vnetLen: 10, vnet: VnetHdr{NeedsCsum: true, CsumStart: 20, CsumOffset: 6}, packet: mutate(26, 1), want: true},
		{name: "partial checksum behind the end", vnetLen: 10, vnet: VnetHdr{NeedsCsum: true, CsumStart: uint16(len(good)) - 1, CsumOffset: 0}, packet: good},
		{name: "partial checksum in the IP header", vnetLen: 10, vnet: VnetHdr{NeedsCsum: true, CsumStart: 0, CsumOffset: 10}, packet: good},
		{name: "partial checksum in the Ethernet header", vnetLen: 10, vnet: VnetHdr{NeedsCsum: true, CsumStart: 0xfff2, CsumOffset: 6}, packet: good},
		{name: "bad header", packet: mutate(8, 1)},
		{name: "bad header, vouched for", vnetLen: 10, vnet: VnetHdr{DataValid: true}, packet: mutate(8, 1)},
		{name: "no checksum", packet: func() []byte {
			b := append([]byte(nil), good...)
			b[26], b[27] = 0, 0
			return b
		}(), want: true},
		{name: "version 5", packet: mutate(0, 0x10)},
		{name: "header of 16 bytes", packet: reheader(func(ip header.IPv4) { ip[0] = 0x44 })},
		{name: "header beyond the packet", packet: mutate(0, 0x45^0x4f)},
		{name: "longer than the frame", packet: reheader(func(ip header.IPv4) { ip.SetTotalLength(uint16(len(good) + 1)) })},
		{name: "shorter than its header", packet: reheader(func(ip header.IPv4) { ip.SetTotalLength(19) })},
		{name: "truncated", packet: good[:19]},
		{name: "empty"},
		{name: "first fragment", packet: reheader(func(ip header.IPv4) { ip.SetFlagsFragmentOffset(header.IPv4FlagMoreFragments, 0) }), netstack: true},
		{name: "last fragment", packet: reheader(func(ip header.IPv4) { ip.SetFlagsFragmentOffset(0, 8) }), netstack: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHarness(t, c.vnetLen)
			h.get(c.vnet, ethernet(etherIPv4, c.packet))
			if got := len(h.taken) == 1; got != c.want {
				t.Errorf("taken: %v, want %v", got, c.want)
			}
			if got := len(h.netstack.packets) == 1; got != c.netstack {
				t.Errorf("to netstack: %v, want %v", got, c.netstack)
			}
			s := h.e.Stats()
			if dropped := s.Malformed.Load()+s.BadChecksum.Load() > 0; dropped == (c.want || c.netstack) {
				t.Errorf("counted as dropped: %v", dropped)
			}
		})
	}
}

// TestReceiveInnerChecksum is a packet in a tunnel, over IPv4 and IPv6, whose
// checksum is left to us.
func TestReceiveInnerChecksum(t *testing.T) {
	const tunnel = "tunnel: "
	inner := udp("hello")
	partial := header.UDP(bytes.Clone(inner))
	partial.SetChecksum(header.PseudoHeaderChecksum(header.UDPProtocolNumber, tcpip.AddrFrom4([4]byte{10, 0, 2, 100}), tcpip.AddrFrom4([4]byte{198, 51, 100, 2}), uint16(len(inner))))
	outer := func(inner []byte) []byte {
		b := make([]byte, header.UDPMinimumSize, 100)
		header.UDP(b).Encode(&header.UDPFields{SrcPort: 1, DstPort: 4789, Length: uint16(len(b) + len(tunnel) + len(inner))})
		return append(append(b, tunnel...), inner...)
	}
	for name, c := range map[string]struct {
		proto  uint16
		packet func([]byte) []byte
		hdrLen int
	}{
		"IPv4": {etherIPv4, func(p []byte) []byte { return packet(header.UDPProtocolNumber, p) }, header.IPv4MinimumSize},
		"IPv6": {etherIPv6, func(p []byte) []byte { return packet6(byte(header.UDPProtocolNumber), p) }, header.IPv6MinimumSize},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, 10)
			v := VnetHdr{NeedsCsum: true, CsumStart: uint16(c.hdrLen + header.UDPMinimumSize + len(tunnel)), CsumOffset: 6}
			h.get(v, ethernet(c.proto, c.packet(outer(partial))))
			want := c.packet(outer(inner))
			if len(h.taken) != 1 || !bytes.Equal(h.taken[0], want) {
				t.Fatalf("% x, want % x", h.taken, want)
			}
			v.CsumStart += 100 // behind the end
			h.get(v, ethernet(c.proto, want))
			if len(h.taken) != 1 || h.e.Stats().Malformed.Load() != 1 {
				t.Errorf("%d packets, %d malformed", len(h.taken), h.e.Stats().Malformed.Load())
			}
		})
	}
}

// A packet that was kept is not overwritten by the next one, whatever its
// size.
func TestReceiveKeepsPackets(t *testing.T) {
	h := newHarness(t, 0)
	var want [][]byte
	for i, n := range []int{1, copyLimit - 40, copyLimit, 40000, 65000} {
		tcp := make([]byte, header.TCPMinimumSize+n)
		header.TCP(tcp).Encode(&header.TCPFields{DataOffset: header.TCPMinimumSize})
		for j := range n {
			tcp[header.TCPMinimumSize+j] = byte(i + j)
		}
		sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, tcpip.AddrFrom4([4]byte{10, 0, 2, 100}), tcpip.AddrFrom4([4]byte{198, 51, 100, 2}), uint16(len(tcp)))
		header.TCP(tcp).SetChecksum(^checksum.Checksum(tcp, sum))
		p := packet(header.TCPProtocolNumber, tcp)
		want = append(want, p)
		h.get(VnetHdr{}, ethernet(etherIPv4, p))
	}
	if len(h.netstack.packets) != len(want) {
		t.Fatalf("%d packets, want %d", len(h.netstack.packets), len(want))
	}
	for i := range want {
		if !bytes.Equal(h.netstack.packets[i], want[i]) {
			t.Errorf("packet %d of %d bytes has changed", i, len(want[i]))
		}
	}
}
