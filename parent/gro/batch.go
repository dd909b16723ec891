package gro

import "bytes"

// maxOpen is how many connections there are at most whose segments are
// gathered at the same time: as many as Linux has in one place of its table.
const maxOpen = 8

// Batch gathers the segments of one turn of reads. It is not safe for
// concurrent use.
type Batch struct {
	deliver func(*Segment)
	open    []*Segment // those that more may be joined to, in the order in which they began
	free    []*Segment
}

// New makes a Batch. deliver is called with each packet that comes out of it,
// which is its only until it returns. It must not call the Batch.
func New(deliver func(*Segment)) *Batch { return &Batch{deliver: deliver} }

// Add takes an IP packet that is an unfragmented TCP segment behind hdrLen
// bytes, whose checksums were verified and whose length is that which the IP
// header says. It is kept until Flush.
func (b *Batch) Add(p []byte, hdrLen int) {
	i := b.find(p, hdrLen)
	if i >= 0 {
		joined, ends := b.open[i].join(p, hdrLen)
		if !joined || ends {
			b.close(i)
		}
		if joined {
			return
		}
	}
	s := b.segment()
	if !s.begin(p, hdrLen) {
		b.done(s)
		return
	}
	if len(b.open) == maxOpen {
		b.close(0)
	}
	b.open = append(b.open, s)
}

// Flush delivers what was gathered.
func (b *Batch) Flush() {
	for i, s := range b.open {
		b.open[i] = nil
		b.done(s)
	}
	b.open = b.open[:0]
}

// find is the index of the packet's connection among those that are open, or
// -1.
func (b *Batch) find(p []byte, hdrLen int) int {
	for i, s := range b.open {
		first := s.parts[0]
		if first[0]>>4 != p[0]>>4 {
			continue
		}
		at, end := 12, 20 // the addresses
		if s.V6() {
			at, end = 8, 40
		}
		if len(p) >= hdrLen+4 && bytes.Equal(p[hdrLen:hdrLen+4], first[s.HdrLen:s.HdrLen+4]) && bytes.Equal(p[at:end], first[at:end]) {
			return i
		}
	}
	return -1
}

// segment is an unused one.
func (b *Batch) segment() *Segment {
	if n := len(b.free); n > 0 {
		s := b.free[n-1]
		b.free = b.free[:n-1]
		return s
	}
	return new(Segment)
}

// close delivers one of those that are open.
func (b *Batch) close(i int) {
	s := b.open[i]
	b.open = append(b.open[:i], b.open[i+1:]...)
	b.done(s)
}

// done delivers s, and forgets it.
func (b *Batch) done(s *Segment) {
	b.deliver(s)
	clear(s.parts)
	*s = Segment{parts: s.parts[:0]}
	b.free = append(b.free, s)
}
