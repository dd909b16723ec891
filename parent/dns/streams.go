package dns

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxStreams bounds the connections of guests at one time.
	maxStreams = 170
	// streamIdle is how long a connection is kept without a message (RFC
	// 7766, section 6.2.3: resolvers close theirs after a few seconds).
	streamIdle = 60 * time.Second
	// streamFailover is how long a resolver has to accept a connection, and
	// how long it has to answer a query, before the next one is tried.
	// streamPatience is what the last one has to accept a connection.
	streamFailover = time.Second
	streamPatience = 5 * time.Second
)

// StreamsConfig is what Streams work with.
type StreamsConfig struct {
	Resolvers *Resolvers
	Names     *Names // may be nil
	// Bind chooses the source of a socket that is about to be connected to
	// an address. It may be nil.
	Bind func(fd int, dst netip.Addr) error
	Max  int // connections at most; 0: 170
}

// Streams carry queries over TCP.
type Streams struct {
	cfg    StreamsConfig
	health health

	mu     sync.Mutex
	open   map[*stream]struct{} // guarded by mu
	closed bool                 // guarded by mu
}

// NewStreams makes Streams.
func NewStreams(cfg StreamsConfig) *Streams {
	if cfg.Max == 0 {
		cfg.Max = maxStreams
	}
	return &Streams{cfg: cfg, open: make(map[*stream]struct{})}
}

// Connect makes a connection for a guest and returns the guest's end of it, a
// stream socket that does not block. It fails with ENETUNREACH when there is no
// resolver at all.
//
// The guest's SYN is to be answered when dial has returned 0: it connects to a
// resolver, and blocks until then, until its context ends, or until the
// connection has to make room (ECONNABORTED). It is nil where there are names to
// answer: then a resolver is connected to when there is a query for it.
func (s *Streams) Connect() (fd int, dial func(context.Context) unix.Errno, errno unix.Errno) {
	if s.cfg.Names == nil && len(s.cfg.Resolvers.List()) == 0 {
		return -1, nil, unix.ENETUNREACH
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, nil, errnoOf(err)
	}
	f := os.NewFile(uintptr(fds[1]), "dns")
	c, err := net.FileConn(f)
	f.Close()
	if err != nil {
		unix.Close(fds[0])
		return -1, nil, errnoOf(err)
	}
	st := s.add(c.(*net.UnixConn))
	if st == nil {
		c.Close()
		unix.Close(fds[0])
		return -1, nil, unix.ENETUNREACH
	}
	if s.cfg.Names != nil {
		go st.run()
		return fds[0], nil, 0
	}
	return fds[0], st.dial, 0
}

// add makes a connection. It is nil after Close.
func (s *Streams) add(c *net.UnixConn) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	if len(s.open) >= s.cfg.Max {
		s.evictLocked()
	}
	st := &stream{streams: s, guest: c, used: time.Now()}
	st.ctx, st.cancel = context.WithCancel(context.Background())
	st.idle = time.AfterFunc(streamIdle, st.close)
	s.open[st] = struct{}{}
	return st
}

// evictLocked ends the connection whose last message is longest ago.
func (s *Streams) evictLocked() {
	var victim *stream
	for st := range s.open {
		if victim == nil || st.lastUse().Before(victim.lastUse()) {
			victim = st
		}
	}
	delete(s.open, victim)
	go victim.close()
}

// forget drops a connection that has ended.
func (s *Streams) forget(st *stream) {
	s.mu.Lock()
	delete(s.open, st)
	s.mu.Unlock()
}

// Len is the number of connections.
func (s *Streams) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// Close ends all connections.
func (s *Streams) Close() {
	s.mu.Lock()
	s.closed = true
	all := make([]*stream, 0, len(s.open))
	for st := range s.open {
		all = append(all, st)
	}
	s.mu.Unlock()
	for _, st := range all {
		st.close()
	}
}

// dial connects to the first resolver that accepts. It fails with the last
// one's errno. When resolv.conf changes meanwhile it begins anew.
func (s *Streams) dial(ctx context.Context) (net.Conn, netip.AddrPort, unix.Errno) {
	for {
		list := s.cfg.Resolvers.List()
		inner, cancel := context.WithCancel(ctx)
		unwatch := s.watch(list, cancel)
		c, a, errno := s.dialList(inner, list)
		changed := unwatch()
		cancel()
		if errno == 0 || !changed || ctx.Err() != nil {
			return c, a, errno
		}
	}
}

// watch calls changed when list is not the resolvers' any more. What it returns
// ends that, and tells whether it was called.
func (s *Streams) watch(list []netip.AddrPort, changed func()) (stop func() bool) {
	var mu sync.Mutex
	var timer *time.Timer // guarded by mu; nil: stopped
	other := false        // guarded by mu
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(recheck, func() {
		now := s.cfg.Resolvers.List()
		mu.Lock()
		defer mu.Unlock()
		switch {
		case timer == nil:
		case len(now) == 0 || same(list, now):
			timer.Reset(recheck)
		default:
			other = true
			changed()
		}
	})
	return func() bool {
		mu.Lock()
		defer mu.Unlock()
		timer.Stop()
		timer = nil
		return other
	}
}

// dialList connects to the first resolver of a list that accepts.
func (s *Streams) dialList(ctx context.Context, list []netip.AddrPort) (c net.Conn, a netip.AddrPort, errno unix.Errno) {
	order := s.health.orderOnly(list)
	errno = unix.ENETUNREACH
	for i := range order {
		wait := streamFailover
		if i == len(order)-1 {
			wait = streamPatience
		}
		a = order[i]
		if c, errno = s.dialOne(ctx, a, wait); errno == 0 || ctx.Err() != nil {
			break
		}
	}
	return c, a, errno
}

// dialOne connects to a resolver. That it accepts does not show that it answers.
func (s *Streams) dialOne(ctx context.Context, a netip.AddrPort, wait time.Duration) (net.Conn, unix.Errno) {
	d := net.Dialer{Timeout: wait, Control: s.control(a.Addr())}
	d.SetMultipathTCP(false) // the filter has no such sockets; GODEBUG may ask for them
	start := time.Now()
	c, err := d.DialContext(ctx, "tcp", a.String())
	if ctx.Err() != nil {
		if err == nil {
			c.Close()
		}
		return nil, unix.ECANCELED // which says nothing about the resolver
	}
	if err != nil {
		s.health.failed(a, start, time.Now())
		if e := net.Error(nil); errors.As(err, &e) && e.Timeout() {
			return nil, unix.ETIMEDOUT
		}
		return nil, errnoOf(err)
	}
	return c, 0
}

// probe asks a resolver that is down, to see whether it is back. The answer is
// nobody's.
func (s *Streams) probe(a netip.AddrPort, query []byte) {
	c, errno := s.dialOne(context.Background(), a, streamPatience)
	if errno != 0 {
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(streamPatience))
	if _, err := c.Write(query); err != nil {
		return
	}
	var buf []byte
	if _, err := readMessage(c, &buf); err == nil {
		s.health.answered(a, time.Now())
	}
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
