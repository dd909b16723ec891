package gro

import (
	"bytes"
	"slices"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// fuzzSegments makes segments of bytes: three for each, which say what is
// different from one that follows that of the same connection before it.
func fuzzSegments(b []byte) (segments []segment, flush []bool) {
	var next [8]int // by connection
	for ; len(b) >= 3; b = b[3:] {
		conn := b[0] & 7
		s := plain(next[conn])
		s.v6, s.port = conn&1 != 0, uint16(conn)
		amount := int(b[2])
		switch b[1] % 20 {
		case 0:
			s.size = min(amount, data)
		case 1:
			s.flags ^= header.TCPFlags(amount)
		case 2:
			s.ack += uint32(amount)
		case 3:
			s.window += uint16(amount)
		case 4:
			s.options = bytes.Repeat([]byte{1}, amount%11*4)
		case 5:
			s.id += uint16(amount)
		case 6:
			s.df = byte(amount) & 0xc0
		case 7:
			s.tos = uint8(amount)
		case 8:
			s.ttl = uint8(amount)
		case 9:
			s.ipOpts = amount % 5 * 8
		case 10:
			s.n += amount - 128
		case 11:
			s.urgent = uint16(amount)
		case 12:
			s.size = amount * 250
		case 13:
			s.id = 0
		case 14:
			s.label = uint32(amount)
		}
		if s.size == data {
			next[conn] = s.n + 1
		}
		segments = append(segments, s)
		flush = append(flush, b[0]&0x80 != 0)
	}
	return segments, flush
}

// FuzzBatch: what comes out, cut up again, is what went in, and in the order
// of each connection.
func FuzzBatch(f *testing.F) {
	f.Add(bytes.Repeat([]byte{0, 15, 0}, 20))
	f.Add(slices.Concat(bytes.Repeat([]byte{0, 15, 0, 1, 15, 0}, 9), []byte{0, 0, 50, 1, 1, 8}))
	f.Add(bytes.Repeat([]byte{2, 12, 200}, 5))
	f.Add([]byte{0, 13, 0, 0, 13, 0, 0, 13, 0, 0x80, 13, 0, 0, 15, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		segments, flush := fuzzSegments(b[:min(len(b), 150)])
		bed := newBed(t)
		var want [8][][]byte
		for i, s := range segments {
			want[s.port] = append(want[s.port], bed.add(segments[i:i+1])...)
			if flush[i] {
				if bed.Flush(); len(bed.parts) != i+1 {
					t.Fatalf("%d packets came out of %d", len(bed.parts), i+1)
				}
			}
		}
		bed.Flush()
		var got [8][][]byte
		for _, p := range bed.parts {
			got[connection(p)] = append(got[connection(p)], p)
		}
		for c := range want {
			if !slices.EqualFunc(got[c], want[c], bytes.Equal) {
				t.Errorf("connection %d: % x, want % x", c, got[c], want[c])
			}
		}
	})
}

// connection is the port of a packet's guest.
func connection(p []byte) int {
	at := int(p[0]&15) * 4
	if p[0]>>4 == 6 {
		at = header.IPv6MinimumSize
		if p[6] == 60 {
			at += (int(p[at+1]) + 1) * 8
		}
	}
	return int(p[at])<<8 | int(p[at+1])
}
