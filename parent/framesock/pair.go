package framesock

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/link"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// probeInterval is how late the end of a SOCK_DGRAM socket may be noticed.
const probeInterval = 5 * time.Second

// Check tells what is wrong with an inherited socket: it has to be of a kind
// that keeps frames apart, and connected.
func Check(fd int) error {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return fmt.Errorf("getsockopt(SO_DOMAIN): %w", err)
	}
	typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return fmt.Errorf("getsockopt(SO_TYPE): %w", err)
	}
	if domain != unix.AF_UNIX || typ != unix.SOCK_SEQPACKET && typ != unix.SOCK_DGRAM {
		return fmt.Errorf("a socket that keeps no frames apart: want a UNIX socket of type SOCK_SEQPACKET or SOCK_DGRAM, as of socketpair(2)")
	}
	if _, err := unix.Getpeername(fd); err != nil {
		return fmt.Errorf("a socket without another end: getpeername: %w", err)
	}
	return nil
}

// Pair is one end of a socket pair, whose other end is the guest.
type Pair struct {
	name  string
	fd    int // the socket's own, from Start on
	probe []byte
	stats *Stats

	// Set by Start.
	socket *Socket
	to     link.Taker
	end    chan struct{} // closed when there is nobody to ask any more
	once   sync.Once     // closes end
}

var _ link.Wire = (*Pair)(nil)

// Open makes a Pair of fd, which it owns unless it fails. probe is a frame that
// a guest may get at any time.
func Open(fd int, name string, probe []byte) (*Pair, error) {
	if err := Check(fd); err != nil {
		return nil, err
	}
	return &Pair{name: name, fd: fd, probe: probe, stats: new(Stats), end: make(chan struct{})}, nil
}

// Name implements link.Wire.
func (p *Pair) Name() string { return p.name }

// Stats returns the live counters.
func (p *Pair) Stats() *Stats { return p.stats }

// Start implements link.Wire.
func (p *Pair) Start(poller *poll.Poller, to link.Taker) error {
	p.to = to
	s, err := New(p.fd, poller, NewReceiver(), p.stats, p)
	if err != nil {
		return err
	}
	p.socket = s
	if !s.stream {
		go p.keepAsking()
	}
	return nil
}

// keepAsking has the end of a SOCK_DGRAM socket show.
func (p *Pair) keepAsking() {
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	for {
		select {
		case <-p.end:
			return
		case <-ticker.C:
			p.socket.Probe(p.probe)
		}
	}
}

// Frames implements Owner.
func (p *Pair) Frames(_ *Socket, frames [][]byte) { p.to.Frames(frames, 0) }

// Gone implements Owner.
func (p *Pair) Gone(s *Socket) {
	s.Close()
	p.once.Do(func() { close(p.end) })
	p.to.Ended(link.ErrGone)
}

// Send implements link.Wire.
func (p *Pair) Send(frame []unix.Iovec) bool { return p.socket.Send(frame) }

// SendAll implements link.Wire.
func (p *Pair) SendAll(frames [][]unix.Iovec) int { return p.socket.SendAll(frames) }

// Close implements link.Wire.
func (p *Pair) Close() error {
	p.once.Do(func() { close(p.end) })
	if p.socket == nil {
		return unix.Close(p.fd)
	}
	p.socket.Close()
	return nil
}
