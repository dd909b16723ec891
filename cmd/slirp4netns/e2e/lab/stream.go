package lab

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
)

// blockSize is the length in bytes of what repeats in a stream, apart from
// the number at the start of each block.
const blockSize = 64 << 10

// Stream is n bytes that are the same each time. No two blocks of 64 KiB are
// equal, so that a lost, doubled or moved part changes the digest.
func Stream(n int64) io.Reader {
	s := &stream{left: n, pos: blockSize}
	rand.NewChaCha8([32]byte{}).Read(s.block[:])
	return s
}

// stream is an io.Reader over numbered blocks.
type stream struct {
	block [blockSize]byte
	next  uint64 // number of the next block
	pos   int    // of the next byte in block
	left  int64
}

// Read fills p as far as the stream goes.
func (s *stream) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > s.left {
		p = p[:s.left]
	}
	done := 0
	for done < len(p) {
		if s.pos == blockSize {
			binary.LittleEndian.PutUint64(s.block[:], s.next)
			s.next++
			s.pos = 0
		}
		n := copy(p[done:], s.block[s.pos:])
		s.pos += n
		done += n
	}
	s.left -= int64(done)
	return done, nil
}
