package framesock

import (
	"fmt"
	"sync/atomic"
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
	name    string
	poller  *poll.Poller
	socket  *Socket
	probe   []byte
	stats   *Stats
	receive func([][]byte, link.Port)
	gone    bool
	closed  atomic.Bool
}

var _ link.Wire = (*Pair)(nil)

// Open makes a Pair of fd, which it owns unless it fails. probe is a frame that
// a guest may get at any time.
func Open(fd int, name string, probe []byte) (*Pair, error) {
	if err := Check(fd); err != nil {
		return nil, err
	}
	poller, err := poll.New()
	if err != nil {
		return nil, err
	}
	p := &Pair{name: name, poller: poller, probe: probe, stats: new(Stats)}
	if p.socket, err = New(fd, poller, NewReceiver(), p.stats, p); err != nil {
		poller.Close()
		return nil, err
	}
	return p, nil
}

// Name implements link.Wire.
func (p *Pair) Name() string { return p.name }

// Stats returns the live counters.
func (p *Pair) Stats() *Stats { return p.stats }

// Run implements link.Wire.
func (p *Pair) Run(receive func([][]byte, link.Port), _ func(link.Port)) error {
	p.receive = receive
	if !p.socket.stream {
		end := make(chan struct{})
		defer close(end)
		go p.keepAsking(end)
	}
	err := p.poller.Run()
	if p.gone && !p.closed.Load() {
		return link.ErrGone
	}
	return err
}

// keepAsking has the end of a SOCK_DGRAM socket show.
func (p *Pair) keepAsking(end chan struct{}) {
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	for {
		select {
		case <-end:
			return
		case <-ticker.C:
			p.socket.Probe(p.probe)
		}
	}
}

// Frames implements Owner.
func (p *Pair) Frames(_ *Socket, frames [][]byte) { p.receive(frames, 0) }

// Gone implements Owner.
func (p *Pair) Gone(*Socket) {
	p.gone = true
	p.socket.Close()
	go p.poller.Close() // which waits for the goroutine that calls this
}

// Send implements link.Wire.
func (p *Pair) Send(frame []unix.Iovec) bool { return p.socket.Send(frame) }

// SendAll implements link.Wire.
func (p *Pair) SendAll(frames [][]unix.Iovec) int { return p.socket.SendAll(frames) }

// Close implements link.Wire.
func (p *Pair) Close() error {
	p.closed.Store(true)
	err := p.poller.Close()
	p.socket.Close()
	return err
}
