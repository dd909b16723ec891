package link

import (
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// segment is a packet of netstack's to 10.0.2.100.
func segment(t *testing.T, port uint16, flags header.TCPFlags, data string) *stack.PacketBuffer {
	t.Helper()
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: header.IPv4MinimumSize + header.TCPMinimumSize,
		Payload:            buffer.MakeWithData([]byte(data)),
	})
	t.Cleanup(pkt.DecRef)
	header.TCP(pkt.TransportHeader().Push(header.TCPMinimumSize)).Encode(&header.TCPFields{
		SrcPort: 80, DstPort: port, DataOffset: header.TCPMinimumSize, Flags: flags, WindowSize: 100,
	})
	header.IPv4(pkt.NetworkHeader().Push(header.IPv4MinimumSize)).Encode(&header.IPv4Fields{
		TotalLength: uint16(pkt.Size()), Protocol: uint8(header.TCPProtocolNumber),
		SrcAddr: tcpip.AddrFrom4([4]byte{10, 0, 2, 2}), DstAddr: tcpip.AddrFrom4([4]byte{10, 0, 2, 100}),
	})
	return pkt
}

// fromGuest are the headers of a segment of the guest to segment's sender.
func fromGuest(t *testing.T, port uint16, flags header.TCPFlags) (ip, tcp []byte) {
	t.Helper()
	pkt := segment(t, port, flags, "")
	ip, tcp = pkt.NetworkHeader().Slice(), pkt.TransportHeader().Slice()
	var a [4]byte
	copy(a[:], ip[12:])
	copy(ip[12:16], ip[16:20])
	copy(ip[16:20], a[:])
	header.TCP(tcp).SetSourcePort(port)
	header.TCP(tcp).SetDestinationPort(80)
	return ip, tcp
}

// waiter is an endpoint that can be told from others.
type waiter struct {
	stack.TransportEndpoint
	port uint16
}

// waits adds one to port of the guest, if there is room.
func (a *acks) waits(t *testing.T, port uint16) bool {
	t.Helper()
	ip, tcp := fromGuest(t, port, header.TCPFlagAck)
	c := connectionOf(ip, tcp, true)
	if !a.room(c) {
		return false
	}
	a.add(ack{c, time.Now(), waiter{port: port}})
	return true
}

// What acknowledges a small segment waits, one of a connection, until something
// else of the same connection says it as well, or its time has come.
func TestAckDelay(t *testing.T) {
	var a acks
	for port := range uint16(3) {
		if !a.waits(t, port) {
			t.Fatalf("acknowledgement %d does not wait", port)
		}
		if a.waits(t, port) {
			t.Errorf("a second acknowledgement of %d waits", port)
		}
	}
	a.forget(segment(t, 9, header.TCPFlagAck, "of another connection"))
	if n := a.waiting.Load(); n != 3 {
		t.Errorf("%d wait, want 3: another connection's is forgotten", n)
	}
	a.forget(segment(t, 1, header.TCPFlagAck, "answer"))
	if n := a.waiting.Load(); n != 2 {
		t.Errorf("%d wait, want the two that nothing else says", n)
	}
	if a.due(false) != nil {
		t.Error("one is due at once")
	}
	time.Sleep(ackDelay)
	for _, want := range []uint16{0, 2} {
		if got := a.due(false); got != (waiter{port: want}) {
			t.Errorf("due: %v, want that of port %d, the oldest", got, want)
		}
	}
	a.waits(t, 5)
	if a.due(true) == nil || a.due(true) != nil {
		t.Error("want one that is sent as nothing else happens, and no more")
	}
	for port := range uint16(maxHeld + 1) {
		if got, want := a.waits(t, port), port < maxHeld; got != want {
			t.Errorf("acknowledgement %d: waits %v, want %v", port, got, want)
		}
	}
}

// A segment takes as many sequence numbers as it has data, and one for its FIN.
// Those that are not small, or more than that, are acknowledged at once.
func TestSmallSize(t *testing.T) {
	const ack, psh, fin = header.TCPFlagAck, header.TCPFlagPsh, header.TCPFlagFin
	for _, c := range []struct {
		flags header.TCPFlags
		data  int
		want  uint32
	}{
		{ack, 0, 0}, {ack, 10, 0}, {ack | psh, 0, 0}, {ack | psh, 1, 1},
		{ack | psh, smallData - 1, smallData - 1}, {ack | psh, smallData, 0},
		{ack | fin, 0, 1}, {ack | psh | fin, 10, 11}, {ack | fin, smallData, 0},
		{ack | psh | header.TCPFlagUrg, 1, 0}, {ack | header.TCPFlagSyn, 0, 0}, {ack | header.TCPFlagRst, 0, 0}, {psh, 1, 0},
	} {
		h := header.TCP(make([]byte, header.TCPMinimumSize+c.data))
		h.SetDataOffset(header.TCPMinimumSize)
		h.SetFlags(uint8(c.flags))
		if got := smallSize(h); got != c.want {
			t.Errorf("%v with %d bytes: %d, want %d", c.flags, c.data, got, c.want)
		}
	}
	h := header.TCP(make([]byte, header.TCPMinimumSize))
	h.SetDataOffset(60)
	h.SetFlags(uint8(ack | psh))
	if got := smallSize(h); got != 0 {
		t.Errorf("a header that is not all there takes %d", got)
	}
}

// netstack's acknowledgement of a FIN is kept back while that is processed, and
// nothing else is.
func TestAckOfFIN(t *testing.T) {
	var a acks
	a.waits(t, 1)
	if a.keepsBack(segment(t, 1, header.TCPFlagAck, "")) {
		t.Error("an acknowledgement is kept back while no FIN is processed")
	}
	a.ending.Store(true)
	if !a.keepsBack(segment(t, 1, header.TCPFlagAck, "")) {
		t.Error("the acknowledgement is sent")
	}
	for name, pkt := range map[string]*stack.PacketBuffer{
		"another connection's": segment(t, 2, header.TCPFlagAck, ""),
		"data":                 segment(t, 1, header.TCPFlagAck, "x"),
		"FIN":                  segment(t, 1, header.TCPFlagAck|header.TCPFlagFin, ""),
		"RST":                  segment(t, 1, header.TCPFlagAck|header.TCPFlagRst, ""),
		"SACK":                 longer(t, segment(t, 1, header.TCPFlagAck, ""), plainSize+12),
	} {
		if a.keepsBack(pkt) {
			t.Errorf("%s is kept back", name)
		}
	}
	a.processed()
	if a.keepsBack(segment(t, 1, header.TCPFlagAck, "")) {
		t.Error("an acknowledgement is kept back afterwards")
	}
	if a.due(true) == nil {
		t.Error("it is forgotten")
	}
}

// longer gives a segment options.
func longer(t *testing.T, pkt *stack.PacketBuffer, size int) *stack.PacketBuffer {
	t.Helper()
	long := stack.NewPacketBuffer(stack.PacketBufferOptions{ReserveHeaderBytes: header.IPv4MinimumSize + size})
	t.Cleanup(long.DecRef)
	tcp := header.TCP(long.TransportHeader().Push(size))
	copy(tcp, pkt.TransportHeader().Slice())
	tcp.SetDataOffset(uint8(size))
	copy(long.NetworkHeader().Push(header.IPv4MinimumSize), pkt.NetworkHeader().Slice())
	return long
}
