package framesock

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The network stack takes many round trips to make good for what its own end of
// the wire dropped in a burst, so queues hold the windows of several
// connections. Measured with 512 KiB for each socket and windows of 1 MiB: one
// iperf3 run in fifteen stood still for seconds.
const (
	chunkSize = 256 << 10 // bytes
	// ownChunks are those that each socket may have, whatever the others
	// have.
	ownChunks = 2
	// maxChunks are those that a socket may have while there are any to
	// share.
	maxChunks = 16
	// sharedChunks are for all sockets of the process together, beyond
	// ownChunks each.
	sharedChunks = 64
)

// shared is how many of the sharedChunks are in use.
var shared atomic.Int32

// chunk holds frames in the order in which they came, each after its length.
type chunk struct {
	bytes      [chunkSize]byte
	begin, end int
	next       *chunk
}

const lengthSize = 4 // bytes

// chunks are those that no queue has.
var chunks = sync.Pool{New: func() any { return new(chunk) }}

// queue is a list of chunks. The zero value is empty.
type queue struct {
	head, tail *chunk
	chunks     int
}

// empty tells whether nothing waits.
func (q *queue) empty() bool { return q.head == nil }

// push adds a frame that is in pieces. It reports false if there is no room.
func (q *queue) push(frame []unix.Iovec) bool {
	size := 0
	for i := range frame {
		size += int(frame[i].Len)
	}
	if q.tail == nil || q.tail.end+lengthSize+size > chunkSize {
		if !q.grow() {
			return false
		}
	}
	c := q.tail
	binary.NativeEndian.PutUint32(c.bytes[c.end:], uint32(size))
	c.end += lengthSize
	for i := range frame {
		c.end += copy(c.bytes[c.end:], unsafe.Slice(frame[i].Base, frame[i].Len))
	}
	return true
}

// grow adds an empty chunk, if the queue may have another.
func (q *queue) grow() bool {
	if q.chunks == maxChunks {
		return false
	}
	if q.chunks >= ownChunks && shared.Add(1) > sharedChunks {
		shared.Add(-1)
		return false
	}
	c := chunks.Get().(*chunk)
	c.begin, c.end, c.next = 0, 0, nil
	if q.tail == nil {
		q.head = c
	} else {
		q.tail.next = c
	}
	q.tail = c
	q.chunks++
	return true
}

// fill puts the oldest frames into s, and returns how many.
func (q *queue) fill(s *sender) (n int) {
	for c := q.head; c != nil; c = c.next {
		for at := c.begin; at < c.end && n < batch; n++ {
			size := int(binary.NativeEndian.Uint32(c.bytes[at:]))
			at += lengthSize
			s.add(n, c.bytes[at:at+size])
			at += size
		}
	}
	return n
}

// drop removes the n oldest frames.
func (q *queue) drop(n int) {
	for ; n > 0; n-- {
		c := q.head
		c.begin += lengthSize + int(binary.NativeEndian.Uint32(c.bytes[c.begin:]))
		if c.begin == c.end {
			q.shrink()
		}
	}
}

// shrink gives back the first chunk.
func (q *queue) shrink() {
	c := q.head
	q.head = c.next
	if q.head == nil {
		q.tail = nil
	}
	q.chunks--
	if q.chunks >= ownChunks {
		shared.Add(-1)
	}
	c.next = nil
	chunks.Put(c)
}

// clear drops all.
func (q *queue) clear() {
	for q.head != nil {
		q.shrink()
	}
}
