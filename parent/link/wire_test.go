package link

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// gatherData is how many bytes of payload gatherSegment has.
const gatherData = 1000

// gatherSegment is the n-th segment of a connection, as an IP packet of a
// guest on a wire.
func gatherSegment(v6 bool, n int) []byte {
	tcp := make(header.TCP, header.TCPMinimumSize+gatherData)
	tcp.Encode(&header.TCPFields{SrcPort: 4000, DstPort: 80, SeqNum: uint32(n * gatherData), AckNum: 1,
		DataOffset: header.TCPMinimumSize, Flags: header.TCPFlagAck, WindowSize: 100})
	for i := range tcp.Payload() {
		tcp.Payload()[i] = byte(n + i)
	}
	var p []byte
	var addrs []byte
	if v6 {
		p = packet6(byte(header.TCPProtocolNumber), tcp)
		addrs = p[8:40]
	} else {
		p = packet(header.TCPProtocolNumber, tcp)
		ip := header.IPv4(p)
		ip.SetID(uint16(n))
		ip.SetChecksum(0)
		ip.SetChecksum(^ip.CalculateChecksum())
		addrs = p[12:20]
	}
	sum := checksum.Combine(checksum.Checksum(addrs, uint16(header.TCPProtocolNumber)), uint16(len(tcp)))
	header.TCP(p[len(p)-len(tcp):]).SetChecksum(^checksum.Checksum(tcp, sum))
	return p
}

// gatherer is a wired Endpoint that notes what becomes of frames that come at
// once.
type gatherer struct {
	*Endpoint
	t        *testing.T
	wire     *record
	netstack sink
	events   []string
}

func newGatherer(t *testing.T) *gatherer {
	g := &gatherer{t: t}
	g.Endpoint, g.wire = wired()
	g.Attach(&g.netstack)
	g.recv = func(p Packet) bool {
		if p.Proto == header.UDPProtocolNumber {
			g.note(fmt.Sprintf("UDP, more %v", p.More))
		}
		return p.Proto == header.UDPProtocolNumber
	}
	g.flush = func() { g.note("flush") }
	return g
}

// note adds an event, after those of netstack.
func (g *gatherer) note(event string) {
	for _, p := range g.netstack.packets {
		g.events = append(g.events, fmt.Sprintf("%d bytes", len(p)))
	}
	g.netstack.packets = nil
	if event != "" {
		g.events = append(g.events, event)
	}
}

// get has frames with these packets come at once, and looks at the events.
func (g *gatherer) get(packets [][]byte, want ...string) {
	g.t.Helper()
	g.events = nil
	var frames [][]byte
	for _, p := range packets {
		proto := etherIPv4
		if p[0]>>4 == 6 {
			proto = etherIPv6
		}
		frames = append(frames, ethernet(proto, p))
	}
	g.wire.batches = [][][]byte{frames}
	if err := g.Watch(nil, nil); err != nil {
		g.t.Fatal(err)
	}
	g.note("")
	if !slices.Equal(g.events, want) {
		g.t.Errorf("%q, want %q", g.events, want)
	}
}

// Segments of frames that come at once are one for netstack, but for those with
// bad checksums, and nothing waits for the next frames.
func TestGather(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		g := newGatherer(t)
		head := header.IPv4MinimumSize + header.TCPMinimumSize
		if v6 {
			head = header.IPv6MinimumSize + header.TCPMinimumSize
		}
		size := func(n int) string { return fmt.Sprintf("%d bytes", head+n*gatherData) }
		segments := make([][]byte, 6)
		for n := range segments {
			segments[n] = gatherSegment(v6, n)
		}
		g.get(segments, size(6), "flush")
		g.get(segments[:1], size(1))
		g.get(segments[1:3], size(2), "flush")
		segments[2][head+500]++
		g.get(segments, size(2), size(3), "flush")
		if n := g.stats.BadChecksum.Load(); n != 1 {
			t.Errorf("%d bad checksums", n)
		}
		if n := g.stats.FromGuest[KindTCP].Packets.Load(); n != 6+1+2+5 {
			t.Errorf("%d segments are counted, want %d", n, 6+1+2+5)
		}
	}
}

// What was joined has the payload of all, and lives on after the frames.
func TestGatheredPayload(t *testing.T) {
	g := newGatherer(t)
	g.flush = nil
	var frames [][]byte
	var want []byte
	for n := range 5 {
		p := gatherSegment(false, n)
		frames = append(frames, ethernet(etherIPv4, p))
		want = append(want, p[header.IPv4MinimumSize+header.TCPMinimumSize:]...)
	}
	g.wire.batches = [][][]byte{frames}
	if err := g.Watch(nil, nil); err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		clear(f)
	}
	if len(g.netstack.packets) != 1 {
		t.Fatalf("%d packets", len(g.netstack.packets))
	}
	ip := header.IPv4(g.netstack.packets[0])
	if !ip.IsValid(len(ip)) || !ip.IsChecksumValid() || !bytes.Equal(header.TCP(ip.Payload()).Payload(), want) {
		t.Errorf("packet of %d bytes: % x", len(ip), ip[:40])
	}
}

// No packet of another kind comes before a segment that came before it.
func TestGatherKeepsOrder(t *testing.T) {
	g := newGatherer(t)
	first, second, third := gatherSegment(false, 0), gatherSegment(false, 1), gatherSegment(false, 2)
	datagram := packet(header.UDPProtocolNumber, udp("x"))
	fragment := header.IPv4(packet(header.TCPProtocolNumber, make([]byte, 16)))
	fragment.SetFlagsFragmentOffset(0, 8)
	fragment.SetChecksum(0)
	fragment.SetChecksum(^fragment.CalculateChecksum())
	g.get([][]byte{first, second, datagram, third}, "2040 bytes", "UDP, more true", "1040 bytes", "flush")
	g.get([][]byte{first, fragment, second}, "1040 bytes", "36 bytes", "1040 bytes", "flush")
	g.get([][]byte{datagram}, "UDP, more false")
	six := packet6(byte(header.UDPProtocolNumber), []byte("\x00\x01\x00\x02\x00\x08\x00\x00"))
	u := header.UDP(six[header.IPv6MinimumSize:])
	u.SetChecksum(^u.CalculateChecksum(checksum.Combine(checksum.Checksum(six[8:40], uint16(header.UDPProtocolNumber)), header.UDPMinimumSize)))
	g.get([][]byte{first, six, second}, "1040 bytes", "UDP, more true", "1040 bytes", "flush")
}

// A frame without a packet does no harm to those around it.
func TestGatherMalformed(t *testing.T) {
	g := newGatherer(t)
	g.flush = nil
	g.wire.batches = [][][]byte{{ethernet(etherIPv4, gatherSegment(false, 0)), make([]byte, ethLen), nil, ethernet(etherIPv4, gatherSegment(false, 1))}}
	if err := g.Watch(nil, nil); err != nil {
		t.Fatal(err)
	}
	if n := g.stats.Malformed.Load(); n != 2 || len(g.netstack.packets) != 1 {
		t.Errorf("%d malformed, %d packets, want 2 and 1", n, len(g.netstack.packets))
	}
	if _, ok := g.neigh.known(netip.MustParseAddr("10.0.2.100")); !ok {
		t.Error("the sender is no neighbour")
	}
}
