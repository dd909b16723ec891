package link

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// record is a Wire that keeps what is sent, and on which batches come.
type record struct {
	frames  [][]byte
	batches [][][]byte
}

func (r *record) Name() string { return "record" }
func (r *record) Close() error { return nil }
func (r *record) Start(_ *poll.Poller, to Taker) error {
	for _, b := range r.batches {
		to.Frames(b, 1)
	}
	return nil
}
func (r *record) Send(frame []unix.Iovec) bool {
	var f []byte
	for _, v := range frame {
		f = append(f, unsafe.Slice(v.Base, v.Len)...)
	}
	r.frames = append(r.frames, f)
	return true
}
func (r *record) SendAll(frames [][]unix.Iovec) int {
	for _, f := range frames {
		r.Send(f)
	}
	return len(frames)
}

// tcpPacket is a packet as netstack hands it over for segmentation, with its
// payload in views of these sizes.
func tcpPacket(v6 bool, flags header.TCPFlags, mss uint16, views ...int) (pkt *stack.PacketBuffer, payload []byte) {
	var b buffer.Buffer
	for _, n := range views {
		v := make([]byte, n)
		for i := range v {
			v[i] = byte(len(payload) + i*i)
		}
		payload = append(payload, v...)
		b.Append(buffer.NewViewWithData(v))
	}
	pkt = stack.NewPacketBuffer(stack.PacketBufferOptions{ReserveHeaderBytes: 120, Payload: b})
	const tcpLen = header.TCPMinimumSize + 12
	header.TCP(pkt.TransportHeader().Push(tcpLen)).Encode(&header.TCPFields{
		SrcPort: 80, DstPort: 4000, SeqNum: 0xffffff00, AckNum: 7, DataOffset: tcpLen, Flags: flags, WindowSize: 100})
	pkt.GSOOptions = stack.GSO{NeedsCsum: true, MSS: mss, CsumOffset: header.TCPChecksumOffset}
	if v6 {
		header.IPv6(pkt.NetworkHeader().Push(header.IPv6MinimumSize)).Encode(&header.IPv6Fields{
			PayloadLength: uint16(tcpLen + len(payload)), TransportProtocol: header.TCPProtocolNumber, HopLimit: 64,
			SrcAddr: tcpip.AddrFrom16([16]byte{0xfd, 15: 2}), DstAddr: tcpip.AddrFrom16([16]byte{0xfd, 15: 9})})
		pkt.GSOOptions.Type, pkt.GSOOptions.L3HdrLen = stack.GSOTCPv6, header.IPv6MinimumSize
		return pkt, payload
	}
	header.IPv4(pkt.NetworkHeader().Push(header.IPv4MinimumSize)).Encode(&header.IPv4Fields{
		TotalLength: uint16(header.IPv4MinimumSize + tcpLen + len(payload)), ID: 5, TTL: 64, Protocol: uint8(header.TCPProtocolNumber),
		SrcAddr: tcpip.AddrFrom4([4]byte{198, 51, 100, 2}), DstAddr: tcpip.AddrFrom4([4]byte{10, 0, 2, 100})})
	pkt.GSOOptions.Type, pkt.GSOOptions.L3HdrLen = stack.GSOTCPv4, header.IPv4MinimumSize
	return pkt, payload
}

// What a packet becomes on a Wire is what its receiver would have got from one
// whose device segments: all of the payload, in valid segments.
func TestSegments(t *testing.T) {
	const all = header.TCPFlagAck | header.TCPFlagPsh | header.TCPFlagFin | 0x80
	for _, v6 := range []bool{false, true} {
		for _, views := range [][]int{nil, {1}, {1448}, {1449}, {1447, 1, 1448}, {3, 5, 7, 11, 13, 17, 4000}, slices.Repeat([]int{1001}, 60), {60000}} {
			t.Run(fmt.Sprintf("%v %d", v6, views), func(t *testing.T) {
				e, wire := wired()
				e.neigh.learn(netip.MustParseAddr("10.0.2.100"), oneMAC, 1, true)
				e.neigh.learn(netip.MustParseAddr("fd00::9"), oneMAC, 1, true)
				pkt, want := tcpPacket(v6, all, 1448, views...)
				defer pkt.DecRef()
				if !e.writePacket(pkt) {
					t.Fatal("not taken")
				}
				var got []byte
				for i, f := range wire.frames {
					payload := checkSegment(t, f[ethLen:], v6, uint32(len(got)), i == 0, i == len(wire.frames)-1)
					if len(payload) > 1448 {
						t.Errorf("segment of %d bytes", len(payload))
					}
					got = append(got, payload...)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("%d bytes of payload, want %d", len(got), len(want))
				}
				if n := e.stats.ToGuest[KindTCP].Packets.Load(); n != uint64(len(wire.frames)) {
					t.Errorf("%d packets are counted, want %d", n, len(wire.frames))
				}
			})
		}
	}
}

// checkSegment returns the payload of a segment whose place is off.
func checkSegment(t *testing.T, b []byte, v6 bool, off uint32, first, last bool) []byte {
	t.Helper()
	var tcp header.TCP
	var addrs []byte
	if v6 {
		ip := header.IPv6(b)
		if !ip.IsValid(len(b)) || int(ip.PayloadLength()) != len(b)-header.IPv6MinimumSize {
			t.Fatalf("at %d: IPv6 header %x", off, b[:40])
		}
		tcp, addrs = header.TCP(ip.Payload()), b[8:40]
	} else {
		ip := header.IPv4(b)
		if !ip.IsValid(len(b)) || int(ip.TotalLength()) != len(b) || checksum.Checksum(b[:ip.HeaderLength()], 0) != 0xffff {
			t.Fatalf("at %d: IPv4 header %x", off, b[:20])
		}
		if ip.ID() == 5 != first {
			t.Errorf("at %d: ID %d", off, ip.ID())
		}
		tcp, addrs = header.TCP(ip.Payload()), b[12:20]
	}
	if !transportSumOK(header.TCPProtocolNumber, addrs, tcp) {
		t.Errorf("at %d: bad TCP checksum", off)
	}
	if want := 0xffffff00 + off; tcp.SequenceNumber() != want {
		t.Errorf("at %d: sequence number %#x, want %#x", off, tcp.SequenceNumber(), want)
	}
	if f := tcp.Flags(); f&header.TCPFlagFin != 0 != last || f&header.TCPFlagPsh != 0 != last || f&0x80 != 0 != first || f&header.TCPFlagAck == 0 {
		t.Errorf("at %d: flags %v", off, f)
	}
	return tcp.Payload()
}
