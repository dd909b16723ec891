package framesock

import (
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// queueBytes is how much waits for a peer that does not read: more than
	// a connection's window on a fast machine, and little enough for many
	// peers to be stuck at once.
	queueBytes = 512 << 10
	// queueFrames is how many frames that may be.
	queueFrames = 512
)

// queue holds frames, each in one piece, in the order in which they came.
type queue struct {
	bytes [queueBytes]byte
	spans [queueFrames]span // a ring
	first int               // index of the oldest
	n     int
}

// span is where a frame is.
type span struct{ off, len int }

// queues are those that no socket needs. A socket whose peer reads has none.
var queues = sync.Pool{New: func() any { return new(queue) }}

// push adds a frame that is in pieces. It reports false if there is no room.
func (q *queue) push(frame []unix.Iovec) bool {
	size := 0
	for i := range frame {
		size += int(frame[i].Len)
	}
	off, ok := q.place(size)
	if !ok {
		return false
	}
	q.spans[(q.first+q.n)%queueFrames] = span{off, size}
	q.n++
	for i := range frame {
		off += copy(q.bytes[off:], unsafe.Slice(frame[i].Base, frame[i].Len))
	}
	return true
}

// place finds size bytes behind the newest frame, or at the start.
func (q *queue) place(size int) (off int, ok bool) {
	if q.n == 0 {
		return 0, size <= queueBytes
	}
	if q.n == queueFrames {
		return 0, false
	}
	begin := q.spans[q.first].off
	newest := q.spans[(q.first+q.n-1)%queueFrames]
	end := newest.off + newest.len
	if newest.off >= begin { // not around the corner yet
		if queueBytes-end >= size {
			return end, true
		}
		return 0, begin >= size
	}
	return end, begin-end >= size
}

// at is the i-th oldest frame.
func (q *queue) at(i int) []byte {
	s := q.spans[(q.first+i)%queueFrames]
	return q.bytes[s.off : s.off+s.len]
}

// drop removes the n oldest frames.
func (q *queue) drop(n int) {
	q.first = (q.first + n) % queueFrames
	q.n -= n
}
