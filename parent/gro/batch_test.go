package gro

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// data is how much the segments of the tests have.
const data = 100

// segment is the n-th of a connection, and all that may differ in one.
type segment struct {
	v6      bool
	port    uint16 // that of the connection's guest
	n       int
	size    int
	flags   header.TCPFlags
	ack     uint32
	window  uint16
	urgent  uint16
	options []byte
	id      uint16
	df      byte // with the other flags of IPv4's header, in its upper bits
	tos     uint8
	ttl     uint8
	label   uint32
	ipOpts  int // bytes of IPv4 options, or of IPv6's for the destination
}

// plain is one of those that follow one another.
func plain(n int) segment {
	return segment{port: 4000, n: n, size: data, flags: header.TCPFlagAck, ack: 7, window: 500, id: uint16(65534 + n), df: 0x40, ttl: 64,
		options: []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}}
}

// packet builds it, with right checksums. Sequence numbers wrap around.
func (s segment) packet() []byte {
	tcp := make(header.TCP, header.TCPMinimumSize+len(s.options)+s.size)
	tcp.Encode(&header.TCPFields{SrcPort: s.port, DstPort: 80, SeqNum: uint32(s.n*data) - 150, AckNum: s.ack,
		DataOffset: uint8(header.TCPMinimumSize + len(s.options)), Flags: s.flags, WindowSize: s.window, UrgentPointer: s.urgent})
	copy(tcp[header.TCPMinimumSize:], s.options)
	for i := range s.size {
		tcp[len(tcp)-s.size+i] = byte(s.n*7 + i)
	}
	var ip []byte
	if s.v6 {
		ip = s.ipv6(len(tcp))
	} else {
		ip = s.ipv4(len(tcp))
	}
	return finish(append(ip, tcp...), len(ip))
}

func (s segment) ipv4(tcp int) []byte {
	ip := make(header.IPv4, header.IPv4MinimumSize+s.ipOpts)
	ip.Encode(&header.IPv4Fields{TotalLength: uint16(len(ip) + tcp), ID: s.id, TTL: s.ttl, TOS: s.tos, Protocol: uint8(header.TCPProtocolNumber),
		SrcAddr: tcpip.AddrFrom4([4]byte{10, 0, 2, 100}), DstAddr: tcpip.AddrFrom4([4]byte{198, 51, 100, 2})})
	ip.SetHeaderLength(uint8(len(ip)))
	for i := header.IPv4MinimumSize; i < len(ip); i++ {
		ip[i] = 1 // no operation
	}
	ip[6] = s.df
	return ip
}

func (s segment) ipv6(tcp int) []byte {
	ip := make(header.IPv6, header.IPv6MinimumSize+s.ipOpts)
	ip.Encode(&header.IPv6Fields{PayloadLength: uint16(s.ipOpts + tcp), TransportProtocol: header.TCPProtocolNumber, HopLimit: s.ttl, TrafficClass: s.tos,
		SrcAddr: tcpip.AddrFrom16([16]byte{0xfd, 15: 100}), DstAddr: tcpip.AddrFrom16([16]byte{0xfd, 15: 2})})
	ip.SetTOS(s.tos, s.label)
	if s.ipOpts > 0 {
		ip[6] = 60
		copy(ip[header.IPv6MinimumSize:], []byte{byte(header.TCPProtocolNumber), byte(s.ipOpts/8 - 1), 1, 4})
	}
	return ip
}

// finish gives a packet its checksums.
func finish(p []byte, hdrLen int) []byte {
	addrs := p[8:40]
	if p[0]>>4 == 4 {
		addrs = p[12:20]
		ip := header.IPv4(p)
		ip.SetChecksum(0)
		ip.SetChecksum(^checksum.Checksum(p[:hdrLen], 0))
	}
	tcp := header.TCP(p[hdrLen:])
	sum := checksum.Checksum(addrs, uint16(header.TCPProtocolNumber))
	tcp.SetChecksum(0)
	tcp.SetChecksum(^checksum.Checksum(tcp, checksum.Combine(sum, uint16(len(tcp)))))
	return p
}

// cut cuts a joined packet up again, as a device would that is told what is in
// front of it: how long the first part was, and whether all had one ID.
func cut(p []byte, hdrLen, data int, sameID bool) (parts [][]byte) {
	head := hdrLen + int(header.TCP(p[hdrLen:]).DataOffset())
	for at := head; at < len(p); at += data {
		end := min(at+data, len(p))
		part := append(bytes.Clone(p[:head]), p[at:end]...)
		tcp := header.TCP(part[hdrLen:])
		binary.BigEndian.PutUint32(tcp[4:], tcp.SequenceNumber()+uint32(at-head))
		if end < len(p) {
			tcp.SetFlags(uint8(tcp.Flags() &^ (header.TCPFlagPsh | header.TCPFlagFin)))
		}
		if p[0]>>4 == 4 {
			ip := header.IPv4(part)
			ip.SetTotalLength(uint16(len(part)))
			if !sameID {
				ip.SetID(ip.ID() + uint16(len(parts)))
			}
		} else {
			header.IPv6(part).SetPayloadLength(uint16(len(part) - header.IPv6MinimumSize))
		}
		parts = append(parts, finish(part, hdrLen))
	}
	return parts
}

// bed is a Batch and what came out of it.
type bed struct {
	*Batch
	t      *testing.T
	counts []int    // parts of each packet
	parts  [][]byte // all of them, cut up again
}

func newBed(t *testing.T) *bed {
	b := &bed{t: t}
	b.Batch = New(b.check)
	return b
}

// check looks at a packet that came out.
func (b *bed) check(s *Segment) {
	p := make([]byte, s.Size())
	s.CopyTo(p)
	b.counts = append(b.counts, s.Parts())
	if s.Parts() == 1 {
		b.parts = append(b.parts, p)
		return
	}
	ip := header.IPv4(p)
	if s.V6() {
		if int(header.IPv6(p).PayloadLength()) != len(p)-header.IPv6MinimumSize {
			b.t.Errorf("%d bytes say that they are % x", len(p), p[:40])
		}
	} else if !ip.IsValid(len(p)) || int(ip.TotalLength()) != len(p) || !ip.IsChecksumValid() {
		b.t.Errorf("%d bytes have the header % x", len(p), p[:20])
	}
	b.parts = append(b.parts, cut(p, s.HdrLen, s.data, s.sameID)...)
}

// add adds segments, and returns their packets.
func (b *bed) add(segments []segment) (packets [][]byte) {
	for _, s := range segments {
		p := s.packet()
		packets = append(packets, bytes.Clone(p))
		b.Add(p, len(p)-header.TCPMinimumSize-len(s.options)-s.size)
	}
	return packets
}

// all changes all segments, last the last one.
func all(change func(*segment)) func([]segment) {
	return func(s []segment) {
		for i := range s {
			change(&s[i])
		}
	}
}

func last(change func(*segment)) func([]segment) {
	return func(s []segment) { change(&s[len(s)-1]) }
}

// Three segments, and what is different in them.
func TestJoin(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func([]segment)
		want   []int // parts of what comes out
	}{
		{"nothing", all(func(*segment) {}), []int{3}},
		{"no options", all(func(s *segment) { s.options = nil }), []int{3}},
		{"may be fragmented", all(func(s *segment) { s.df = 0 }), []int{3}},
		{"one ID", all(func(s *segment) { s.id = 0 }), []int{3}},
		{"one ID, and may be fragmented", all(func(s *segment) { s.id, s.df = 0, 0 }), []int{1, 1, 1}},
		{"ID skips one", last(func(s *segment) { s.id++ }), []int{2, 1}},
		{"ID again", last(func(s *segment) { s.id-- }), []int{2, 1}},
		{"ID goes on after it was the same", func(s []segment) { s[1].id, s[2].id = s[0].id, s[0].id+1 }, []int{2, 1}},
		{"last one may be fragmented", last(func(s *segment) { s.df = 0 }), []int{2, 1}},
		{"IPv4's evil bit", last(func(s *segment) { s.df |= 0x80 }), []int{2, 1}},
		{"IP options", all(func(s *segment) { s.ipOpts = 8 }), []int{1, 1, 1}},
		{"IP options in the last", last(func(s *segment) { s.ipOpts = 8 }), []int{2, 1}},
		{"type of service", all(func(s *segment) { s.tos = 0xb8 }), []int{3}},
		{"other type of service", last(func(s *segment) { s.tos = 0xb8 }), []int{2, 1}},
		{"congestion experienced", last(func(s *segment) { s.tos = 3 }), []int{2, 1}},
		{"time to live", last(func(s *segment) { s.ttl-- }), []int{2, 1}},
		{"PSH at the end", last(func(s *segment) { s.flags |= header.TCPFlagPsh }), []int{3}},
		{"PSH in the middle", func(s []segment) { s[1].flags |= header.TCPFlagPsh }, []int{2, 1}},
		{"PSH everywhere", all(func(s *segment) { s.flags |= header.TCPFlagPsh }), []int{1, 1, 1}},
		{"FIN at the end", last(func(s *segment) { s.flags |= header.TCPFlagFin }), []int{3}},
		{"FIN and PSH at the end", last(func(s *segment) { s.flags |= header.TCPFlagFin | header.TCPFlagPsh }), []int{3}},
		{"FIN alone", last(func(s *segment) { s.flags |= header.TCPFlagFin; s.size = 0 }), []int{2, 1}},
		{"RST", last(func(s *segment) { s.flags |= header.TCPFlagRst }), []int{2, 1}},
		{"SYN", func(s []segment) { s[0].flags |= header.TCPFlagSyn }, []int{1, 2}},
		{"SYN and nothing else", func(s []segment) { s[0].flags = header.TCPFlagSyn }, []int{1, 2}},
		{"URG", last(func(s *segment) { s.flags |= header.TCPFlagUrg }), []int{2, 1}},
		{"urgent pointer", last(func(s *segment) { s.urgent = 1 }), []int{2, 1}},
		{"ECE", all(func(s *segment) { s.flags |= 0x40 }), []int{1, 1, 1}},
		{"CWR", last(func(s *segment) { s.flags |= 0x80 }), []int{2, 1}},
		{"no ACK", last(func(s *segment) { s.flags = 0 }), []int{2, 1}},
		{"acknowledgement", last(func(s *segment) { s.ack++ }), []int{2, 1}},
		{"window", last(func(s *segment) { s.window++ }), []int{2, 1}},
		{"time stamp", last(func(s *segment) { s.options = []byte{1, 1, 8, 10, 0, 0, 0, 2, 0, 0, 0, 2} }), []int{2, 1}},
		{"other options", last(func(s *segment) { s.options = nil }), []int{2, 1}},
		{"short at the end", last(func(s *segment) { s.size = 1 }), []int{3}},
		{"short in the middle", func(s []segment) { s[1].size-- }, []int{2, 1}},
		{"long at the end", last(func(s *segment) { s.size++ }), []int{2, 1}},
		{"odd size", all(func(s *segment) { s.size = 1 }), []int{1, 1, 1}},
		{"only ACK", all(func(s *segment) { s.size, s.n = 0, 0 }), []int{1, 1, 1}},
		{"ACK in the middle", func(s []segment) { s[1].size, s[2].n = 0, 1 }, []int{1, 1, 1}},
		{"a gap", last(func(s *segment) { s.n++ }), []int{2, 1}},
		{"again", last(func(s *segment) { s.n-- }), []int{2, 1}},
		{"backwards", func(s []segment) { slices.Reverse(s) }, []int{1, 1, 1}},
	} {
		for _, v6 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, IPv6 %v", c.name, v6), func(t *testing.T) {
				segments := []segment{plain(0), plain(1), plain(2)}
				c.change(segments)
				want := c.want
				if v6 {
					all(func(s *segment) { s.v6 = true })(segments)
					if onlyIPv4(segments) {
						want = []int{3}
					}
				}
				b := newBed(t)
				packets := b.add(segments)
				b.Flush()
				if !slices.Equal(b.counts, want) {
					t.Errorf("parts %v, want %v", b.counts, want)
				}
				if !slices.EqualFunc(b.parts, packets, bytes.Equal) {
					t.Errorf("% x, want % x", b.parts, packets)
				}
			})
		}
	}
}

// onlyIPv4 tells whether IDs or flags of IPv4's header are all that is
// different.
func onlyIPv4(segments []segment) bool {
	for n, s := range segments {
		p := plain(n)
		p.v6, p.id, p.df = true, s.id, s.df
		if !bytes.Equal(p.packet(), s.packet()) {
			return false
		}
	}
	return true
}

// An IPv6 flow label tells flows apart.
func TestFlowLabel(t *testing.T) {
	segments := []segment{plain(0), plain(1), plain(2)}
	all(func(s *segment) { s.v6, s.label = true, 1 })(segments)
	segments[2].label = 2
	b := newBed(t)
	packets := b.add(segments)
	b.Flush()
	if !slices.Equal(b.counts, []int{2, 1}) || !slices.EqualFunc(b.parts, packets, bytes.Equal) {
		t.Errorf("parts %v: % x, want % x", b.counts, b.parts, packets)
	}
}

// A joined packet is as large as one can be, and no larger.
func TestMaximum(t *testing.T) {
	const size = 8000 // 8 of them fit
	for _, v6 := range []bool{false, true} {
		b := newBed(t)
		var segments []segment
		for n := range 20 {
			s := plain(n * size / data)
			s.v6, s.size, s.id = v6, size, uint16(n)
			segments = append(segments, s)
		}
		packets := b.add(segments)
		b.Flush()
		if !slices.Equal(b.counts, []int{8, 8, 4}) || !slices.EqualFunc(b.parts, packets, bytes.Equal) {
			t.Errorf("IPv6 %v: parts %v, want 8, 8 and 4", v6, b.counts)
		}
	}
}

// Connections are kept apart, in the order in which they began; one too many
// makes the oldest go.
func TestConnections(t *testing.T) {
	b := newBed(t)
	var segments []segment
	for n := range 3 {
		for port := range uint16(maxOpen) {
			s := plain(n)
			s.port = port
			segments = append(segments, s)
		}
	}
	b.add(segments)
	if len(b.counts) != 0 {
		t.Fatalf("parts %v came before Flush", b.counts)
	}
	s := plain(0)
	s.port = maxOpen
	b.add([]segment{s})
	if !slices.Equal(b.counts, []int{3}) {
		t.Fatalf("parts %v, want those of the oldest connection", b.counts)
	}
	b.Flush()
	for i, p := range b.parts {
		if port := binary.BigEndian.Uint16(p[header.IPv4MinimumSize:]); int(port) != i/3 {
			t.Errorf("part %d is of connection %d", i, port)
		}
	}
	if len(b.parts) != 3*maxOpen+1 {
		t.Errorf("%d parts", len(b.parts))
	}
	b.counts = nil
	if b.Flush(); b.counts != nil {
		t.Errorf("parts %v came out twice", b.counts)
	}
}

// What is no whole TCP header comes out as it went in.
func TestMalformed(t *testing.T) {
	b := newBed(t)
	good := plain(0).packet()
	short, offset, long := bytes.Clone(good[:header.IPv4MinimumSize+3]), bytes.Clone(good), bytes.Clone(good)
	offset[header.IPv4MinimumSize+header.TCPDataOffset] = 4 << 4
	long[header.IPv4MinimumSize+header.TCPDataOffset] = 15 << 4
	long = long[:header.IPv4MinimumSize+50]
	for _, p := range [][]byte{good[:header.IPv4MinimumSize], short, offset, long} {
		b.parts = nil
		b.Add(p, header.IPv4MinimumSize)
		if len(b.parts) != 1 || !bytes.Equal(b.parts[0], p) {
			t.Errorf("% x became % x", p, b.parts)
		}
	}
}

// Nothing is allocated for what is gathered.
func TestAllocations(t *testing.T) {
	b := New(func(*Segment) {})
	var packets [][]byte
	for n := range 16 {
		packets = append(packets, plain(n).packet())
	}
	if n := testing.AllocsPerRun(100, func() {
		for _, p := range packets {
			b.Add(p, header.IPv4MinimumSize)
		}
		b.Flush()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
