package dns

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stream is one connection of the guest, and the one to the resolver that
// belongs to it. Messages follow their length in two bytes (RFC 1035, section
// 4.2.2); they are passed on one by one, since an answer of ours may have to
// go between two of the resolver's.
type stream struct {
	streams *Streams
	guest   *net.UnixConn
	idle    *time.Timer // closes the stream
	// ctx ends with the stream, and with it the search for a resolver.
	ctx    context.Context
	cancel context.CancelFunc

	mu       sync.Mutex
	used     time.Time // guarded by mu; the last message
	resolver net.Conn  // guarded by mu; nil before the first query
	closed   bool      // guarded by mu

	write sync.Mutex // held while a message is written to the guest
}

// dial connects to a resolver, and runs the connection if there is one.
func (s *stream) dial(ctx context.Context) unix.Errno {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	if _, errno := s.connect(ctx); errno != 0 {
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
		r, errno := s.connect(s.ctx)
		if errno != 0 {
			s.close()
			return
		}
		if _, err := r.Write(msg); err != nil {
			s.close()
			return
		}
	}
	// The guest has no more queries. It may still wait for answers.
	s.mu.Lock()
	r := s.resolver
	s.mu.Unlock()
	if r == nil {
		s.close()
		return
	}
	r.(*net.TCPConn).CloseWrite()
}

// connect returns the connection to a resolver, which it makes if need be. Only
// one goroutine calls it.
func (s *stream) connect(ctx context.Context) (net.Conn, unix.Errno) {
	s.mu.Lock()
	r := s.resolver
	s.mu.Unlock()
	if r != nil {
		return r, 0
	}
	r, errno := s.streams.dial(ctx)
	if errno != 0 {
		return nil, errno
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		r.Close()
		return nil, unix.ECONNABORTED
	}
	s.resolver = r
	go s.answers(r)
	return r, 0
}

// answers carries what the resolver says until it closes the connection.
func (s *stream) answers(r net.Conn) {
	defer s.close()
	var buf []byte
	for {
		msg, err := readMessage(r, &buf)
		if err != nil {
			return
		}
		s.touch()
		if s.toGuest(msg) != nil {
			return
		}
	}
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

// close ends both connections, and with them the goroutines. What the guest
// has sent and nobody has read makes the kernel tell it of a reset.
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
	if s.resolver != nil {
		s.resolver.Close()
	}
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

// control is what is done with a socket before it is connected to dst.
func (s *Streams) control(dst netip.Addr) func(string, string, syscall.RawConn) error {
	if s.cfg.Bind == nil {
		return nil
	}
	return func(_, _ string, c syscall.RawConn) error {
		var bindErr error
		err := c.Control(func(fd uintptr) { bindErr = s.cfg.Bind(int(fd), dst) })
		if err == nil {
			err = bindErr
		}
		return err
	}
}
