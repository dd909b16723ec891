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

// closed has it announce a window of 0.
func closed(pkt *stack.PacketBuffer) *stack.PacketBuffer {
	header.TCP(pkt.TransportHeader().Slice()).SetWindowSize(0)
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

// What the guest resets, or begins anew, needs no acknowledgement any more.
func TestAckOver(t *testing.T) {
	for flags, want := range map[header.TCPFlags]int32{
		header.TCPFlagAck:                     1,
		header.TCPFlagRst:                     0,
		header.TCPFlagRst | header.TCPFlagAck: 0,
		header.TCPFlagSyn:                     0,
	} {
		var a acks
		a.holding.Store(true)
		if !a.hold(segment(t, 7, header.TCPFlagAck, ""), VnetHdr{}) {
			t.Fatal("it does not wait")
		}
		ip, tcp := fromGuest(t, 8, header.TCPFlagRst)
		a.over(ip, tcp)
		ip, tcp = fromGuest(t, 7, flags)
		a.over(ip, tcp)
		if got := a.waiting.Load(); got != want {
			t.Errorf("%v: %d wait, want %d", flags, got, want)
		}
	}
}

// What acknowledges a small segment waits, until something else of the same
// connection says it as well, or its time has come.
func TestAckDelay(t *testing.T) {
	var a acks
	var out ack
	if a.hold(segment(t, 1, header.TCPFlagAck, ""), VnetHdr{}) {
		t.Error("an acknowledgement of a large segment waits")
	}
	a.holding.Store(true)
	for name, pkt := range map[string]*stack.PacketBuffer{
		"data":    segment(t, 1, header.TCPFlagAck, "x"),
		"FIN":     segment(t, 1, header.TCPFlagAck|header.TCPFlagFin, ""),
		"RST":     segment(t, 1, header.TCPFlagAck|header.TCPFlagRst, ""),
		"SYN-ACK": segment(t, 1, header.TCPFlagAck|header.TCPFlagSyn, ""),
		"SACK":    longer(t, segment(t, 1, header.TCPFlagAck, ""), plainSize+12),
		"window":  closed(segment(t, 1, header.TCPFlagAck, "")),
	} {
		if a.hold(pkt, VnetHdr{}) {
			t.Errorf("%s waits", name)
		}
	}
	for port := range uint16(3) {
		if !a.hold(segment(t, port, header.TCPFlagAck, ""), VnetHdr{}) {
			t.Fatalf("acknowledgement %d does not wait", port)
		}
	}
	if a.forget(segment(t, 9, header.TCPFlagAck, "of another connection")) {
		t.Error("another connection's is forgotten")
	}
	if !a.forget(segment(t, 1, header.TCPFlagAck, "answer")) {
		t.Error("what the answer says as well is not forgotten")
	}
	if n := a.waiting.Load(); n != 2 {
		t.Errorf("%d wait, want the two that nothing else says", n)
	}
	time.Sleep(ackDelay)
	for _, want := range []uint16{0, 2} {
		if !a.due(false, &out) {
			t.Fatalf("the acknowledgement to port %d is not sent in time", want)
		}
		if got := header.TCP(out.packet()[header.IPv4MinimumSize:]).DestinationPort(); got != want {
			t.Errorf("port %d, want %d, the oldest", got, want)
		}
	}
	a.hold(segment(t, 5, header.TCPFlagAck, ""), VnetHdr{})
	if !a.due(true, &out) || a.due(true, &out) {
		t.Error("want one that is sent as nothing else happens, and no more")
	}
	for port := range uint16(maxHeld + 1) {
		if got, want := a.hold(segment(t, port, header.TCPFlagAck, ""), VnetHdr{}), port < maxHeld; got != want {
			t.Errorf("acknowledgement %d: waits %v, want %v", port, got, want)
		}
	}
}
