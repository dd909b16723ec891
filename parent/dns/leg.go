package dns

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// maxLegs bounds the connections to resolvers that a guest's connection has at
// one time: who was late may still answer while the next one is asked.
const maxLegs = 2

// leg is a connection to a resolver. Its fields are guarded by the stream's
// lock, but for those that are set when ready is closed.
type leg struct {
	addr   netip.AddrPort
	cancel context.CancelFunc // ends the search for the connection

	ready chan struct{} // closed when it is connected, or is not going to be
	conn  *net.TCPConn  // nil: it could not be

	spoke bool // it has sent a message
	shut  bool // it takes no more queries
	gone  bool // we have closed it, which is not the resolver's fault

	write sync.Mutex // held while a query is written to conn
}

// connected is a channel that is closed.
var connected = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// addLeg gives the stream a connection to a resolver. It is false when the
// stream has been closed.
func (s *stream) addLeg(addr netip.AddrPort, c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.Close()
		return false
	}
	l := &leg{addr: addr, ready: connected, conn: c.(*net.TCPConn)}
	s.legs = append(s.legs, l)
	go s.answers(l)
	return true
}

// legTo finds or makes the connection to a resolver, which has the given time
// to accept it. It is nil when there is none, or list is not the resolvers' any
// more.
func (s *stream) legTo(addr netip.AddrPort, wait time.Duration, list []netip.AddrPort) *leg {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	for _, l := range s.legs {
		if l.addr == addr && !l.shut {
			s.mu.Unlock()
			<-l.ready
			if l.conn == nil {
				return nil
			}
			return l
		}
	}
	if len(s.legs) >= maxLegs {
		s.dropLocked(s.idlestLocked())
	}
	l := &leg{addr: addr, ready: make(chan struct{})}
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	l.cancel = cancel
	s.legs = append(s.legs, l)
	s.mu.Unlock()

	unwatch := s.streams.watch(list, cancel)
	c, errno := s.streams.dialOne(ctx, addr, wait)
	unwatch()
	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(l.ready)
	if errno == 0 && (s.closed || l.gone) {
		c.Close()
		errno = unix.ECONNABORTED
	}
	if errno != 0 {
		s.legs = slices.DeleteFunc(s.legs, func(o *leg) bool { return o == l })
		return nil
	}
	l.conn = c.(*net.TCPConn)
	go s.answers(l)
	return l
}

// idlestLocked is the leg that makes room for another: the oldest that owes no
// answer, or else the oldest.
func (s *stream) idlestLocked() *leg {
	for _, l := range s.legs {
		if !slices.ContainsFunc(s.queries, func(q *streamQuery) bool { return q.owes(l) }) {
			return l
		}
	}
	return s.legs[0]
}

// dropLocked closes legs. Their readers, if they have one, do the rest.
func (s *stream) dropLocked(legs ...*leg) {
	for _, l := range legs {
		l.gone = true
		l.closeLocked()
	}
	s.legs = slices.DeleteFunc(s.legs, func(l *leg) bool { return l.gone })
}

func (l *leg) closeLocked() {
	if l.conn != nil {
		l.conn.Close()
	} else {
		l.cancel()
	}
}

// end tells the resolvers that the guest has no more queries. One that is asked
// later learns of it then.
func (s *stream) end() {
	var legs []*leg
	s.mu.Lock()
	s.ended = true
	for _, l := range s.legs {
		if l.conn != nil && !l.shut {
			l.shut = true
			legs = append(legs, l)
		}
	}
	useless := s.uselessLocked()
	s.mu.Unlock()
	if useless {
		s.close()
	}
	for _, l := range legs {
		l.write.Lock()
		l.conn.CloseWrite()
		l.write.Unlock()
	}
}

// answers carries what a resolver says until it closes the connection.
func (s *stream) answers(l *leg) {
	var buf []byte
	for {
		msg, err := readMessage(l.conn, &buf)
		if err != nil {
			break
		}
		s.touch()
		s.streams.health.answered(l.addr, time.Now())
		if msg = s.take(l, msg); msg != nil && s.toGuest(msg) != nil {
			s.close()
			break
		}
		s.mu.Lock()
		over := s.ended && len(s.queries) == 0 && s.moving == 0
		s.mu.Unlock()
		if over {
			s.end()
		}
	}
	s.leave(l)
}

// leave takes it that a leg has ended. Queries that wait for it go on: to the
// same resolver once more if it has answered others before it closed (RFC 7766,
// section 6.2.4), else to the next.
func (s *stream) leave(l *leg) {
	l.conn.Close()
	s.mu.Lock()
	s.legs = slices.DeleteFunc(s.legs, func(o *leg) bool { return o == l })
	now := time.Now()
	for _, q := range s.queries {
		owed := q.owes(l)
		q.paidLocked(l)
		if owed && q.moving && q.at == l && !l.gone && !l.spoke {
			// It closed before send was done, which goes on to the next.
			s.streams.health.failed(l.addr, q.sent, now)
		}
		if !owed || q.moving || q.at != l && len(q.owing) > 0 {
			continue
		}
		switch {
		case q.at != l || l.gone:
		case l.spoke && !q.again:
			q.again = true
			q.next--
		default:
			s.streams.health.failed(l.addr, q.sent, now)
		}
		s.moveLocked(q)
		go s.forward(q)
	}
	useless := s.uselessLocked()
	s.mu.Unlock()
	if useless {
		s.close()
	}
}
