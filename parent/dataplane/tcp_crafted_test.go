package dataplane

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Segments that no sane kernel sends. The guest's root can.

const (
	fin = header.TCPFlagFin
	syn = header.TCPFlagSyn
	rst = header.TCPFlagRst
	psh = header.TCPFlagPsh
	ack = header.TCPFlagAck
	urg = header.TCPFlagUrg
)

// rawTCP speaks TCP frame by frame, from an address that the guest's kernel
// does not have, and so does not interfere.
type rawTCP struct {
	g        *guest
	src, dst netip.AddrPort
	seq, ack uint32
	window   uint16
	urgent   uint16
}

func newRawTCP(g *guest, dst netip.AddrPort) *rawTCP {
	return &rawTCP{g: g, src: netip.MustParseAddrPort("10.0.2.77:7777"), dst: dst, seq: 1000, window: 60000}
}

// packet builds a segment at the current sequence number.
func (r *rawTCP) packet(flags header.TCPFlags, payload string) []byte {
	const l3, l4 = header.IPv4MinimumSize, header.TCPMinimumSize
	b := make([]byte, l3+l4+len(payload))
	ip := header.IPv4(b)
	ip.Encode(&header.IPv4Fields{
		TotalLength: uint16(len(b)), TTL: 64, Protocol: uint8(header.TCPProtocolNumber),
		SrcAddr: tcpip.AddrFrom4(r.src.Addr().As4()), DstAddr: tcpip.AddrFrom4(r.dst.Addr().As4()),
	})
	ip.SetChecksum(^ip.CalculateChecksum())
	t := header.TCP(b[l3:])
	t.Encode(&header.TCPFields{
		SrcPort: r.src.Port(), DstPort: r.dst.Port(), SeqNum: r.seq, AckNum: r.ack,
		DataOffset: l4, Flags: flags, WindowSize: r.window, UrgentPointer: r.urgent,
	})
	copy(t[l4:], payload)
	r.sum(b)
	return b
}

// sum makes the segment's checksum right.
func (r *rawTCP) sum(b []byte) {
	ip, t := header.IPv4(b), header.TCP(b[header.IPv4MinimumSize:])
	t.SetChecksum(0)
	pseudo := header.PseudoHeaderChecksum(header.TCPProtocolNumber, ip.SourceAddress(), ip.DestinationAddress(), uint16(len(t)))
	for i := 0; i < len(t); i += 2 {
		w := uint32(t[i]) << 8
		if i+1 < len(t) {
			w |= uint32(t[i+1])
		}
		w += uint32(pseudo)
		pseudo = uint16(w) + uint16(w>>16)
	}
	t.SetChecksum(^pseudo)
}

func (r *rawTCP) sendPacket(b []byte) { r.g.send(frame(header.IPv4ProtocolNumber, b)) }

func (r *rawTCP) send(flags header.TCPFlags, payload string) { r.sendPacket(r.packet(flags, payload)) }

// match accepts segments to our port that have all the flags.
func (r *rawTCP) match(flags header.TCPFlags) func([]byte) bool {
	return func(f []byte) bool {
		t := r.segment(f)
		return t != nil && t.Flags()&flags == flags
	}
}

func (r *rawTCP) segment(f []byte) header.TCP {
	p := header.IPv4(f[header.EthernetMinimumSize:])
	if binary.BigEndian.Uint16(f[12:]) != uint16(header.IPv4ProtocolNumber) || p.TransportProtocol() != header.TCPProtocolNumber {
		return nil
	}
	t := header.TCP(p.Payload())
	if p.SourceAddress() != tcpip.AddrFrom4(r.dst.Addr().As4()) || t.DestinationPort() != r.src.Port() {
		return nil
	}
	return t
}

func (r *rawTCP) await(what string, flags header.TCPFlags) header.TCP {
	r.g.t.Helper()
	return r.segment(r.g.await(what, r.match(flags)))
}

// silent fails if anything comes for our port.
func (r *rawTCP) silent(what string) {
	r.g.t.Helper()
	deadline := time.After(150 * time.Millisecond)
	for {
		select {
		case f := <-r.g.raw:
			if t := r.segment(f); t != nil {
				r.g.t.Errorf("%s: answered with flags %s", what, t.Flags())
			}
		case <-deadline:
			return
		}
	}
}

// connect does the handshake; synPayload goes with the SYN.
func (r *rawTCP) connect(synPayload string) {
	r.g.t.Helper()
	r.send(syn, synPayload)
	r.seq++
	t := r.await("SYN-ACK", syn|ack)
	if got := t.AckNumber(); got != r.seq {
		r.g.t.Fatalf("SYN-ACK acknowledges %d, want %d", got, r.seq)
	}
	r.ack = t.SequenceNumber() + 1
	r.send(ack, "")
}

// serveText hands over what each connection received until its end.
func serveText(t *testing.T) (netip.AddrPort, chan string, *atomic.Int32) {
	t.Helper()
	got, accepted := make(chan string, 64), new(atomic.Int32)
	to := serve(t, func(c *net.TCPConn) {
		accepted.Add(1)
		b, _ := io.ReadAll(c)
		got <- string(b)
	})
	return to, got, accepted
}

func expect(t *testing.T, got chan string, want string) {
	t.Helper()
	select {
	case s := <-got:
		if s != want {
			t.Errorf("the server read %q, want %q", s, want)
		}
	case <-time.After(5 * time.Second):
		t.Errorf("the server did not read %q and the end within 5 s", want)
	}
}

// No frame leads to the host's loopback but one for the gateway, and with
// --disable-host-loopback none at all.
func TestTCPCraftedLoopback(t *testing.T) {
	for _, disable := range []bool{false, true} {
		g := newGuest(t, func(c *Config) { c.DisableHostLoopback = disable })
		to, _, accepted := serveText(t)
		dsts := []string{"127.0.0.1", "127.1.2.3", "0.0.0.0", "0.1.2.3", "255.255.255.255"}
		if disable {
			dsts = append(dsts, "10.0.2.2")
		}
		for _, dst := range dsts {
			r := newRawTCP(g, netip.AddrPortFrom(netip.MustParseAddr(dst), to.Port()))
			p := r.packet(syn, "")
			r.sendPacket(p)
			g.await("ICMP 3/0 about a SYN to "+dst, unreachableAbout(p))
		}
		if n := accepted.Load(); n != 0 {
			t.Errorf("disable-host-loopback %v: %d connections to the host's loopback", disable, n)
		}
		if n := g.plane.tcp.Len(); n != 0 {
			t.Errorf("disable-host-loopback %v: %d flows are left", disable, n)
		}
	}
}

// unreachableAbout accepts "net unreachable" from the gateway that quotes p.
func unreachableAbout(p []byte) func([]byte) bool {
	return func(f []byte) bool {
		ip := header.IPv4(f[header.EthernetMinimumSize:])
		if ip.TransportProtocol() != header.ICMPv4ProtocolNumber || ip.SourceAddress() != tcpip.AddrFrom4(gateway.As4()) {
			return false
		}
		m := header.ICMPv4(ip.Payload())
		return m.Type() == header.ICMPv4DstUnreachable && m.Code() == header.ICMPv4NetUnreachable && bytes.Equal(m.Payload(), p)
	}
}

// Segments that are no SYN get no connection there either, and a RST no answer.
func TestTCPCraftedLoopbackOtherSegments(t *testing.T) {
	g := newGuest(t, nil)
	for _, dst := range []string{"127.0.0.1:80", "0.0.0.0:80", "255.255.255.255:80"} {
		r := newRawTCP(g, netip.MustParseAddrPort(dst))
		r.send(rst, "")
		p := r.packet(ack, "data")
		r.sendPacket(p)
		first := g.await("an answer to "+dst, func(f []byte) bool {
			return f[header.EthernetMinimumSize+9] == uint8(header.ICMPv4ProtocolNumber)
		})
		if !unreachableAbout(p)(first) {
			t.Errorf("%s: the answer is % x", dst, first)
		}
	}
}

func TestTCPCraftedFlags(t *testing.T) {
	g := newGuest(t, nil)
	to, _, accepted := serveText(t)
	for _, c := range []struct {
		name  string
		flags header.TCPFlags
		reset bool
	}{
		{"SYN+FIN", syn | fin, false},
		{"SYN+RST", syn | rst, false},
		{"SYN+FIN+RST+PSH+ACK+URG", syn | fin | rst | psh | ack | urg, false},
		{"RST", rst, false},
		{"FIN+PSH+URG", fin | psh | urg, true},
		{"none", 0, true},
		{"ACK", ack, true},
		{"FIN+ACK", fin | ack, true},
		{"SYN+ACK", syn | ack, true},
	} {
		r := newRawTCP(g, to)
		r.send(c.flags, "data")
		if c.reset {
			r.await("RST for "+c.name, rst)
		} else {
			r.silent(c.name)
		}
	}
	if n := accepted.Load(); n != 0 {
		t.Errorf("%d connections", n)
	}
	if n := g.plane.tcp.Len(); n != 0 {
		t.Errorf("%d flows are left", n)
	}
}

// Header lengths that are not: the frame is dropped, and the next is served.
func TestTCPCraftedOffsets(t *testing.T) {
	g := newGuest(t, nil)
	to, got, accepted := serveText(t)
	r := newRawTCP(g, to)
	for offset := range uint8(16) {
		if offset == header.TCPMinimumSize/4 {
			continue
		}
		b := r.packet(syn, "")
		b[header.IPv4MinimumSize+header.TCPDataOffset] = offset << 4
		r.sum(b)
		r.sendPacket(b)
	}
	for n := range header.TCPMinimumSize { // a header that is cut off
		b := r.packet(syn, "")[:header.IPv4MinimumSize+n]
		ip := header.IPv4(b)
		ip.SetTotalLength(uint16(len(b)))
		ip.SetChecksum(0)
		ip.SetChecksum(^ip.CalculateChecksum())
		if n >= 18 {
			r.sum(b)
		}
		r.sendPacket(b)
	}
	r.silent("bad offsets")
	if n := accepted.Load(); n != 0 {
		t.Errorf("%d connections", n)
	}
	r.connect("")
	r.send(ack|fin, "ok")
	expect(t, got, "ok")
}

// Options that lie about their length.
func TestTCPCraftedOptions(t *testing.T) {
	g := newGuest(t, nil)
	to, got, _ := serveText(t)
	for _, opts := range []string{
		"\x02\x00\x00\x00", "\x02\x01\x00\x00", "\x02\xff\x05\xb4", "\x01\x01\x01\x02", "\x03\x03\xff\x00",
		"\x02\x04\x00\x00", "\x02\x04\x00\x01", "\x02\x04\xff\xff", "\x08\x0a\x00\x00", "\xfe\x02\x05\x22",
	} {
		r := newRawTCP(g, to)
		b := r.packet(syn, opts)
		b[header.IPv4MinimumSize+header.TCPDataOffset] = 6 << 4
		r.sum(b)
		r.sendPacket(b)
		// Answered or not: reset what there is, and start afresh.
		time.Sleep(10 * time.Millisecond)
		r.seq++
		r.send(rst, "")
	}
	settled(t, "no flow is left", func() bool { return g.plane.tcp.Len() == 0 })
	for len(got) > 0 {
		<-got
	}
	mustDial(t, g, to)
}

// Segments that overlap and disagree: each byte is delivered once.
func TestTCPCraftedOverlap(t *testing.T) {
	g := newGuest(t, nil)
	to, got, _ := serveText(t)
	r := newRawTCP(g, to)
	r.connect("")
	start := r.seq
	at := func(offset uint32, flags header.TCPFlags, s string) {
		r.seq = start + offset
		r.send(flags, s)
	}
	at(5, ack, "fghij") // out of order
	at(3, ack, "XXXXX") // over it
	at(0, ack, "abcde") // fills the gap
	at(0, ack, "ZZZZZ") // comes again, and is late
	at(2, ack, "YYYYYYYYkl")
	at(12, ack|fin, "")
	select {
	case s := <-got:
		if len(s) != 12 || s[:3] != "abc" || s[10:] != "kl" {
			t.Errorf("the server read %q, want 12 bytes from abc to kl", s)
		}
	case <-time.After(5 * time.Second):
		t.Error("the server read no end within 5 s")
	}
}

// Urgent pointers, wild ones too, change nothing in the stream.
func TestTCPCraftedUrgent(t *testing.T) {
	g := newGuest(t, nil)
	to, got, _ := serveText(t)
	r := newRawTCP(g, to)
	r.connect("")
	for _, p := range []uint16{0, 1, 3, 4, 5, 0x7fff, 0x8000, 0xffff} {
		r.urgent = p
		r.send(ack|urg, "data")
		r.seq += 4
		r.send(ack|urg, "") // a pointer without data
	}
	r.send(ack|fin|urg, "")
	expect(t, got, "datadatadatadatadatadatadatadata")
}

// fragments cuts a packet into fragments: one of first bytes after the IP
// header, then as small as they can be.
func (r *rawTCP) fragments(b []byte, id uint16, first int) [][]byte {
	var out [][]byte
	body := b[header.IPv4MinimumSize:]
	for off, n := 0, first; off < len(body); off, n = off+n, 8 {
		n = min(n, len(body)-off)
		f := append(append([]byte(nil), b[:header.IPv4MinimumSize]...), body[off:off+n]...)
		ip := header.IPv4(f)
		ip.SetTotalLength(uint16(len(f)))
		ip.SetID(id)
		flags := uint8(0)
		if off+n < len(body) {
			flags = header.IPv4FlagMoreFragments
		}
		ip.SetFlagsFragmentOffset(flags, uint16(off))
		ip.SetChecksum(0)
		ip.SetChecksum(^ip.CalculateChecksum())
		out = append(out, f)
	}
	return out
}

// A connection whose segments come in fragments, in and out of order. The
// first of each holds the whole TCP header.
func TestTCPCraftedFragments(t *testing.T) {
	g := newGuest(t, nil)
	to, got, _ := serveText(t)
	r := newRawTCP(g, to)
	for _, f := range r.fragments(r.packet(syn, "data that comes too early"), 1, 24) {
		r.sendPacket(f)
	}
	r.seq++
	r.ack = r.await("SYN-ACK", syn|ack).SequenceNumber() + 1
	r.send(ack, "")
	text := "a payload of some more fragments"
	for _, f := range r.fragments(r.packet(ack, text), 2, 24) {
		r.sendPacket(f)
	}
	r.seq += uint32(len(text))
	f := r.fragments(r.packet(ack|fin, text), 3, 24)
	slices.Reverse(f)
	for _, f := range f {
		r.sendPacket(f)
	}
	expect(t, got, text+text)
}

// A first fragment that holds a part of the TCP header only is dropped
// (RFC 1858), and so the segment never comes to be.
func TestTCPCraftedTinyFragments(t *testing.T) {
	g := newGuest(t, nil)
	to, got, _ := serveText(t)
	r := newRawTCP(g, to)
	r.connect("")
	for id, first := range []int{8, 16} {
		before := g.plane.link.Stats().Malformed.Load()
		for _, f := range r.fragments(r.packet(ack, "never"), uint16(id+1), first) {
			r.sendPacket(f)
		}
		for deadline := time.Now().Add(5 * time.Second); g.plane.link.Stats().Malformed.Load() == before; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("a first fragment of %d bytes was not dropped", first)
			}
		}
	}
	r.send(ack|fin, "whole")
	expect(t, got, "whole")
}

// A guest whose window is closed from the start is sent nothing before it
// opens it, but for a probe of one byte.
func TestTCPCraftedZeroWindow(t *testing.T) {
	g := newGuest(t, nil)
	to := serve(t, func(c *net.TCPConn) {
		c.Write([]byte("hello"))
		io.ReadAll(c)
	})
	r := newRawTCP(g, to)
	r.window = 0
	r.connect("")
	for deadline := time.After(400 * time.Millisecond); ; {
		select {
		case f := <-g.raw:
			if s := r.segment(f); s != nil && len(s.Payload()) > 1 {
				t.Fatalf("%d bytes were sent into a closed window", len(s.Payload()))
			}
			continue
		case <-deadline:
		}
		break
	}
	r.window = 1000
	r.send(ack, "")
	f := g.await("data", func(f []byte) bool { s := r.segment(f); return s != nil && len(s.Payload()) > 1 })
	if got := string(r.segment(f).Payload()); got != "hello" {
		t.Errorf("received %q, want hello", got)
	}
	r.send(rst|ack, "")
}

// Data on a SYN (RFC 9293, section 3.10.7.2) may be ignored, as it is sent
// again. It is delivered once.
func TestTCPCraftedDataOnSYN(t *testing.T) {
	for _, n := range []int{5, 1400, 3000} {
		g := newGuest(t, nil)
		to, got, _ := serveText(t)
		r := newRawTCP(g, to)
		early := make([]byte, n)
		for i := range early {
			early[i] = 'a' + byte(i%26)
		}
		r.connect(string(early))
		r.send(ack|fin, string(early)+" and more")
		expect(t, got, string(early)+" and more")
	}
}

// A SYN that comes again and again makes one connection.
func TestTCPCraftedRepeatedSYN(t *testing.T) {
	g := newGuest(t, nil)
	to, got, accepted := serveText(t)
	r := newRawTCP(g, to)
	for range 5 {
		r.send(syn, "")
	}
	r.connect("")
	for range 5 { // late ones, too
		r.seq--
		r.send(syn, "")
		r.seq++
	}
	r.send(ack|fin, "once")
	expect(t, got, "once")
	if n := accepted.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// A SYN that comes right behind the RST of a handshake from the same port is
// answered, and not only when it is repeated a second later.
func TestTCPCraftedSYNAfterReset(t *testing.T) {
	g := newGuest(t, nil)
	r := newRawTCP(g, serve(t, echo))
	for i := range 300 {
		r.send(syn, "")
		var a header.TCP
		for { // one of this SYN's, and no repetition of an earlier one's
			a = r.await("SYN-ACK", syn|ack)
			if a.AckNumber() == r.seq+1 {
				break
			}
		}
		r.seq++
		r.ack = a.SequenceNumber() + 1
		if i%2 == 0 {
			r.send(rst, "")
		} else {
			r.send(rst|ack, "")
		}
		r.seq += 100_000
	}
	r.send(syn, "")
	r.seq++
	r.ack = r.await("SYN-ACK", syn|ack).SequenceNumber() + 1
	r.send(ack|rst, "")
}

// A handshake that has to make room ends, also when netstack has not begun with
// it: the SYNs come faster than it does.
func TestTCPSYNBurst(t *testing.T) {
	const waiting, burst = 4, 400
	g := newGuest(t, func(c *Config) { c.maxTCP = 8 * waiting })
	r := newRawTCP(g, serve(t, echo))
	for i := range burst {
		r.src = netip.AddrPortFrom(netip.AddrFrom4([4]byte{172, 16, byte(i >> 8), byte(i)}), 1024)
		r.send(syn, "")
	}
	time.Sleep(time.Second) // a SYN-ACK is repeated sooner
	if n := g.plane.tcp.Len(); n > waiting {
		t.Errorf("%d handshakes a second after a burst, want %d at most", n, waiting)
	}
	g.plane.Close() // ends them, or the server would wait for them
	settled(t, "no flow is left", func() bool { return g.plane.tcp.Len() == 0 })
}

// A flood of SYNs from invented addresses fills a bounded table, and a
// connection that is meant gets through at once.
func TestTCPSYNFlood(t *testing.T) {
	g := newGuest(t, nil)
	to := serve(t, echo)
	const flood, limit = 10000, 3 * 4096
	r := newRawTCP(g, to)
	highest := 0
	for i := range flood {
		r.src = netip.AddrPortFrom(netip.AddrFrom4([4]byte{172, 16, byte(i >> 8), byte(i)}), 1024)
		r.send(syn, "")
		if i%100 == 0 {
			highest = max(highest, g.plane.tcp.Len())
		}
	}
	start := time.Now()
	c := mustDial(t, g, to)
	c.Write([]byte("ping"))
	b := make([]byte, 4)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Error(err)
	}
	t.Logf("a good connection took %v", time.Since(start))
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("a good connection took %v", d)
	}
	highest = max(highest, g.plane.tcp.Len())
	if highest > limit {
		t.Errorf("%d flows, want %d at most", highest, limit)
	}
	settled(t, "4096 unfinished handshakes at most", func() bool { return g.plane.tcp.Len() <= 4096+2 })
	g.plane.Close() // ends them all, or the server would wait for them
	settled(t, "no flow is left", func() bool { return g.plane.tcp.Len() == 0 })
}
