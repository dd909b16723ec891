package e2e

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// extension is an extension header that is followed by one of number next: its
// body is filled up to a multiple of 8 bytes by options PadN and Pad1.
func extension(next uint8, body ...byte) []byte {
	b := append([]byte{next, 0}, body...)
	switch pad := (8 - len(b)%8) % 8; {
	case pad == 1:
		b = append(b, 0)
	case pad > 1:
		b = append(append(b, 1, byte(pad-2)), make([]byte, pad-2)...)
	}
	b[1] = byte(len(b)/8 - 1)
	return b
}

// fragment is a fragment header (RFC 8200, section 4.5); offset in bytes.
func fragment(next uint8, offset int, more bool, id uint32) []byte {
	b := []byte{next, 0}
	v := uint16(offset)
	if more {
		v |= fragmentMore
	}
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(b, v), id)
}

// What is announced by extension headers is found behind them. What asks for
// something that we cannot do is dropped, as is what has no end.
func TestIPv6ExtensionHeaders(t *testing.T) {
	t.Parallel()
	s := newStation6(t)
	travelled := []byte{0, 0, 0, 0, 0, 0} // type 0, no segments left
	long := func(n int) (chain []uint8) { return slices.Repeat([]uint8{destinationOptions}, n) }
	for _, c := range []struct {
		name   string
		chain  []uint8
		bodies map[int][]byte // of the headers by their place, if not padding
		works  bool
	}{
		{"none", nil, nil, true},
		{"hop-by-hop", []uint8{hopByHopHeader}, nil, true},
		{"destination options", []uint8{destinationOptions}, nil, true},
		{"a route to its end", []uint8{routingHeader}, map[int][]byte{0: travelled}, true},
		{"all", []uint8{hopByHopHeader, destinationOptions, routingHeader, destinationOptions}, map[int][]byte{2: travelled}, true},
		{"an option that may be passed over", []uint8{hopByHopHeader}, map[int][]byte{0: {0x1e, 2, 0, 0}}, true},
		{"eight", long(8), nil, true},
		{"nine", long(9), nil, false},
		{"hop-by-hop in second place", []uint8{destinationOptions, hopByHopHeader}, nil, false},
		{"a route with a segment left", []uint8{routingHeader}, map[int][]byte{0: {0, 1, 0, 0, 0, 0}}, false},
		{"an option to discard", []uint8{destinationOptions}, map[int][]byte{0: {0x5e, 2, 0, 0}}, false},
		{"an option to report", []uint8{destinationOptions}, map[int][]byte{0: {0x9e, 2, 0, 0}}, false},
		{"an option that is longer than the header", []uint8{destinationOptions}, map[int][]byte{0: {0x1e, 200, 0, 0, 0, 0}}, false},
	} {
		for name, make := range map[string]func(string, []byte) (uint8, netip.Addr, []byte){
			"echo reply from ": s.echo6, "datagram from ": s.datagram6,
		} {
			for _, to := range []string{gateway6, lab.InetAddr6.String()} {
				proto, dst, msg := make(to, []byte("payload"))
				first, b := proto, msg
				for i := len(c.chain) - 1; i >= 0; i-- {
					b = append(extension(first, c.bodies[i]...), b...)
					first = c.chain[i]
				}
				s.send6(packet6(first, usualHops, s.addr, dst, b))
				want := ""
				if c.works {
					want = name + to
				}
				if got := s.answer6(c.works); got != want {
					t.Errorf("%s, %q: %q, want %q", c.name, name+to, got, want)
				}
			}
		}
	}
	// A header that ends after the packet.
	s.send6(packet6(destinationOptions, usualHops, s.addr, netip.MustParseAddr(gateway6), []byte{unix.IPPROTO_UDP, 31, 1, 4, 0, 0, 0, 0}))
	if got := s.answer6(false); got != "" {
		t.Errorf("a header without an end: %q", got)
	}
}

// part is a fragment: bytes from and to of the message.
type part struct{ from, to int }

// Fragments are put together in whatever order they come; with a hole or an
// overlap (RFC 5722) they come to nothing, and the next ones do.
func TestIPv6Fragments(t *testing.T) {
	t.Parallel()
	s := newStation6(t)
	const size = 2000
	payload := bytes.Repeat([]byte("fragment"), size/8)[:size-8] // and 8 bytes of header
	in := []part{{0, 800}, {800, 1600}, {1600, size}}
	reversed := slices.Clone(in)
	slices.Reverse(reversed)
	id := uint32(1)
	for _, c := range []struct {
		name  string
		parts []part
		works bool
	}{
		{"in order", in, true},
		{"in reverse", reversed, true},
		{"the last in the middle", []part{in[0], in[2], in[1]}, true},
		{"in one", []part{{0, size}}, true},
		{"of 16 bytes", []part{{0, 16}, {16, 32}, {32, size}}, true},
		{"the first is missing", in[1:], false},
		{"one in the middle is missing", []part{in[0], in[2]}, false},
		{"the last is missing", in[:2], false},
		{"one overlaps", []part{in[0], {792, 1600}, in[2]}, false},
		{"one is within another", []part{{0, 1600}, {800, 808}, in[2]}, false},
	} {
		for _, headers := range []string{"bare", "hop-by-hop before", "destination options within"} {
			for name, make := range map[string]func(string, []byte) (uint8, netip.Addr, []byte){
				"echo reply from ": s.echo6, "datagram from ": s.datagram6,
			} {
				for _, to := range []string{gateway6, lab.InetAddr6.String()} {
					proto, dst, msg := make(to, payload)
					id++
					end := size
					first, before := proto, uint8(fragmentHeader)
					switch headers {
					case "hop-by-hop before":
						before = hopByHopHeader
					case "destination options within":
						options := extension(proto)
						first, msg, end = destinationOptions, append(options, msg...), size+len(options)
					}
					for _, p := range c.parts {
						if p.to == size {
							p.to = end
						}
						b := append(fragment(first, p.from, p.to < end, id), msg[p.from:p.to]...)
						if before == hopByHopHeader {
							b = append(extension(fragmentHeader), b...)
						}
						s.send6(packet6(before, usualHops, s.addr, dst, b))
					}
					want := ""
					if c.works {
						want = name + to
					}
					// The answer is larger than the link's MTU.
					got := s.reassemble6(c.works)
					if got.name != want || want != "" && !bytes.Equal(got.payload, payload) {
						t.Errorf("%s, %s, %q: %q with %d bytes, want %q", c.name, headers, name+to, got.name, len(got.payload), want)
					}
				}
			}
		}
	}
}

// whole6 is a message without its header of 8 bytes, and what it is.
type whole6 struct {
	name    string
	payload []byte
}

// reassemble6 is answer6 for what comes in fragments, which are to be in order.
func (s *station6) reassemble6(expected bool) whole6 {
	s.t.Helper()
	f := s.answerFrame6(expected)
	if f == nil {
		return whole6{}
	}
	var msg []byte
	for f.proto == fragmentHeader {
		if offset := int(binary.BigEndian.Uint16(f.msg[2:]) &^ 7); offset != len(msg) {
			s.t.Errorf("a fragment at %d, want %d", offset, len(msg))
		}
		msg = append(msg, f.msg[fragmentHeaderLength:]...)
		if f.msg[3]&fragmentMore == 0 {
			f.proto, f.msg = f.msg[0], msg
			break
		}
		if f = s.next6(commandTimeout); f == nil {
			s.t.Fatal("no last fragment")
		}
	}
	return whole6{f.String(), f.msg[8:]}
}
