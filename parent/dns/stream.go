package dns

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// stream is one connection of the guest, and those to resolvers that belong to
// it. Messages follow their length in two bytes (RFC 1035, section 4.2.2); they
// are passed on one by one, since an answer of ours may have to go between two
// of a resolver's, and a query may have to go to another resolver.
type stream struct {
	streams *Streams
	guest   *net.UnixConn
	idle    *time.Timer // closes the stream
	// ctx ends with the stream, and with it the search for a resolver.
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	used    time.Time      // guarded by mu; the last message
	closed  bool           // guarded by mu
	ended   bool           // guarded by mu; the guest has no more queries
	legs    []*leg         // guarded by mu; oldest first, at most maxLegs
	queries []*streamQuery // guarded by mu; oldest first
	kept    int            // guarded by mu; bytes of queries
	moving  int            // guarded by mu; queries that look for a resolver

	write sync.Mutex // held while a message is written to the guest
}

// dial connects to a resolver, and runs the connection if there is one.
func (s *stream) dial(ctx context.Context) unix.Errno {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	c, addr, errno := s.streams.dial(ctx)
	if errno == 0 && !s.addLeg(addr, c) {
		errno = unix.ECONNABORTED
	}
	if errno != 0 {
		if s.ctx.Err() != nil {
			errno = unix.ECONNABORTED
		}
		s.close()
		return errno
	}
	go s.run()
	return 0
}

// run carries the guest's queries until its end of the connection is closed.
func (s *stream) run() {
	var buf []byte
	for {
		msg, err := readMessage(s.guest, &buf)
		if err != nil {
			break
		}
		s.touch()
		if answer, ok := s.streams.cfg.Names.Answer(msg[2:]); ok {
			if s.toGuest(frame(answer)) != nil {
				break
			}
			continue
		}
		if q := s.newQuery(msg); q != nil {
			s.forward(q)
		}
	}
	// The guest may still wait for answers.
	s.end()
}

func (s *stream) toGuest(msg []byte) error {
	s.write.Lock()
	defer s.write.Unlock()
	_, err := s.guest.Write(msg)
	return err
}

// touch notes a message.
func (s *stream) touch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = time.Now()
	if !s.closed {
		s.idle.Reset(streamIdle)
	}
}

func (s *stream) lastUse() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// uselessLocked tells of a stream that nobody will answer any more.
func (s *stream) uselessLocked() bool { return len(s.legs) == 0 && s.moving == 0 }

// close ends all connections, and with them the goroutines. What the guest has
// sent and nobody has read makes the kernel tell it of a reset.
func (s *stream) close() {
	s.streams.forget(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	s.cancel()
	s.idle.Stop()
	s.guest.Close()
	for _, l := range s.legs {
		l.closeLocked()
	}
	s.legs = nil
	for _, q := range s.queries {
		q.doneLocked()
	}
	s.queries = nil
}

// readMessage reads a message with its length before it. The result is good
// until the next call with the same buffer.
func readMessage(r io.Reader, buf *[]byte) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := 2 + int(binary.BigEndian.Uint16(size[:]))
	if cap(*buf) < n {
		*buf = make([]byte, n)
	}
	b := (*buf)[:n]
	copy(b, size[:])
	_, err := io.ReadFull(r, b[2:])
	return b, err
}

// frame puts its length before a message.
func frame(msg []byte) []byte {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(msg)), uint16(len(msg)))
	return append(b, msg...)
}
