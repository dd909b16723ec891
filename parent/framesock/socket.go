package framesock

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// Owner is told what happens on a Socket, on the poller's goroutine.
type Owner interface {
	// Frames is given what came. The frames, and the slice, are the owner's
	// only until it returns.
	Frames(s *Socket, frames [][]byte)
	// Gone tells that the other end was closed, or that the socket failed: it
	// is to be closed. It is told once.
	Gone(s *Socket)
}

// Stats counts what was dropped. All counters only ever grow.
type Stats struct {
	Full     atomic.Uint64 // frames that the other end left no room for
	Oversize atomic.Uint64 // frames larger than MaxFrame that came, or that the kernel did not take
}

// Socket is one end of a connection that carries frames.
type Socket struct {
	owner  Owner
	poller *poll.Poller
	recv   *Receiver
	stats  *Stats
	stream bool // SOCK_SEQPACKET, which tells its end
	frames [batch][]byte
	gone   bool // of the poller's goroutine: Gone was told

	mu     sync.Mutex
	fd     int // guarded by mu; -1 once it is closed
	token  poll.Token
	queue  queue  // guarded by mu
	failed bool   // guarded by mu: the other end takes no more
	out    sender // guarded by mu
}

// New makes a Socket of fd, which it owns unless it fails. Its owner is told of
// what happens as soon as the poller runs. Sockets of one poller share recv.
func New(fd int, poller *poll.Poller, recv *Receiver, stats *Stats, owner Owner) (*Socket, error) {
	typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return nil, fmt.Errorf("getsockopt(SO_TYPE): %w", err)
	}
	s := &Socket{owner: owner, poller: poller, recv: recv, stats: stats, fd: fd, stream: typ == unix.SOCK_SEQPACKET}
	// The handler may be called before the token is there.
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token, err = poller.Add(fd, reading, s); err != nil {
		return nil, err
	}
	return s, nil
}

// What a Socket waits for, without and with frames that wait.
const (
	reading = poll.In | poll.RdHUp | poll.Level
	writing = reading | poll.Out
)

// ended are the events of a socket whose other end was closed.
const ended = poll.HUp | poll.RdHUp | poll.Err

// HandleEvents implements poll.Handler.
func (s *Socket) HandleEvents(events uint32) {
	if events&poll.Out != 0 {
		s.flush()
	}
	failed := s.hasFailed()
	if s.gone || !failed && events&(poll.In|ended) == 0 {
		return
	}
	if s.receive(failed || events&ended != 0) {
		s.fail()
		s.gone = true
		s.owner.Gone(s)
	}
}

// receive takes one batch. The poller comes back for more, after others had
// their turn. It tells whether that was all, where ending says that there is an
// end: who is there no longer may have left something.
func (s *Socket) receive(ending bool) (over bool) {
	fd := s.number()
	if fd < 0 {
		return false
	}
	n, errno := s.recv.receive(fd)
	switch errno {
	case 0:
	case unix.EAGAIN:
		return ending
	case unix.ECONNRESET:
		return false // it closed without having read all; what it sent is still here
	default:
		return true
	}
	frames, empty := s.frames[:0], 0
	for i := range n {
		b, whole := s.recv.message(i)
		switch {
		case !whole:
			s.stats.Oversize.Add(1)
		case len(b) == 0:
			empty++
		default:
			frames = append(frames, b)
		}
	}
	if len(frames) > 0 {
		s.owner.Frames(s, frames)
	}
	if n == batch {
		runtime.Gosched() // there may be no other thread for what it led to
	}
	// After the end there is an empty message for each place. One may have been
	// sent, too.
	return s.stream && empty == n && ending
}

// Send sends a frame in pieces, now or when there is room for it, and reports
// whether there is.
func (s *Socket) Send(frame []unix.Iovec) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 || s.failed {
		return false
	}
	if s.queue.empty() {
		switch errno := send(s.fd, frame); errno {
		case 0:
			return true
		case unix.EAGAIN:
			if s.poller.Modify(s.fd, s.token, writing) != nil {
				s.failed = true
			}
		default:
			s.refused(errno)
			return false
		}
	}
	if !s.queue.push(frame) {
		s.stats.Full.Add(1)
		return false
	}
	return true
}

// SendAll is Send for several frames, and returns how many it took.
func (s *Socket) SendAll(frames [][]unix.Iovec) (taken int) {
	taken = s.sendNow(frames)
	for _, f := range frames[taken:] {
		if s.Send(f) {
			taken++
		}
	}
	return taken
}

// sendNow sends as many frames as there is room for.
func (s *Socket) sendNow(frames [][]unix.Iovec) (sent int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.fd >= 0 && !s.failed && s.queue.empty() && sent < len(frames) {
		n := min(len(frames)-sent, batch)
		for i := range n {
			s.out.addPieces(i, frames[sent+i])
		}
		now, _ := s.out.send(s.fd, n)
		s.out.clear(n)
		sent += now
		if now < n {
			break // Send finds out why
		}
	}
	return sent
}

// Probe sends a frame if it can go out at once. It finds out whether the other
// end is still there.
func (s *Socket) Probe(frame []byte) {
	var iov [1]unix.Iovec
	iov[0].Base = &frame[0]
	iov[0].SetLen(len(frame))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 || !s.queue.empty() {
		return
	}
	if errno := send(s.fd, iov[:]); errno != 0 && errno != unix.EAGAIN {
		s.refused(errno)
	}
}

// refused handles an error of sending.
//
// Preconditions: s.mu is held.
func (s *Socket) refused(errno unix.Errno) {
	switch errno {
	case unix.EMSGSIZE:
		s.stats.Oversize.Add(1)
	case unix.ENOBUFS, unix.ENOMEM:
		s.stats.Full.Add(1)
	default:
		// EPIPE, ECONNRESET, ECONNREFUSED, ENOTCONN: nobody is there. The
		// poller's goroutine is to tell the owner.
		s.failed = true
		_ = s.poller.Modify(s.fd, s.token, writing)
	}
}

// flush sends what waits, as far as there is room.
func (s *Socket) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 || s.failed || s.queue.empty() {
		return
	}
	for !s.queue.empty() {
		sent, errno := s.out.send(s.fd, s.queue.fill(&s.out))
		if errno == unix.EAGAIN {
			return
		}
		if errno != 0 {
			s.refused(errno)
			if s.failed {
				return
			}
			sent = 1 // the frame that it did not take
		}
		s.queue.drop(sent)
	}
	if s.poller.Modify(s.fd, s.token, reading) != nil {
		s.failed = true
	}
}

// fail has no more sent.
func (s *Socket) fail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = true
}

func (s *Socket) hasFailed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// number is the descriptor, or -1. Only the poller's goroutine may use it
// without the lock, since that is the one which closes the socket, or is about
// to end.
func (s *Socket) number() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fd
}

// Close ends the Socket, and what waited is gone. It is called on the poller's
// goroutine, or when that has ended.
func (s *Socket) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return
	}
	s.poller.Remove(s.fd, s.token)
	unix.Close(s.fd)
	s.fd = -1
	s.queue.clear()
}
