package vswitch

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/framesock"
	"github.com/slirp4netns-go/slirp4netns/parent/link"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// Config describes a Switch.
type Config struct {
	Name string // for messages
	// Addrs and Addrs6 are the addresses of the network stack.
	Addrs, Addrs6 []netip.Addr
	// MaxPeers is how many there may be at once.
	MaxPeers int
}

// Stats counts what went no further. All counters only ever grow.
type Stats struct {
	Malformed atomic.Uint64 // frames that no peer should send, by mistake
	Forbidden atomic.Uint64 // frames that no peer may send
	Refused   atomic.Uint64 // peers that came when there were enough
	framesock.Stats
}

// Switch is a link.Wire.
type Switch struct {
	name   string
	max    int
	poller *poll.Poller // set by Start
	to     link.Taker   // set by Start
	recv   *framesock.Receiver
	guard  guard
	table  *table
	stats  Stats
	start  time.Time

	// Of the goroutine that reads.
	number  link.Port // of the last peer
	toStack [][]byte  // frames of a batch

	listener *listener
	first    chan struct{} // closed when the first peer has come
	once     sync.Once

	// ports are the peers. The slice is replaced, never changed: who sends
	// from the stack's side takes no lock for it.
	ports atomic.Pointer[[]*port]
}

var _ link.Wire = (*Switch)(nil)

// New makes a Switch that takes its peers from a listening SOCK_SEQPACKET
// socket, which it owns. Nothing happens until Start.
func New(cfg Config, listening int) *Switch {
	s := &Switch{
		name:  cfg.Name,
		max:   cfg.MaxPeers,
		recv:  framesock.NewReceiver(),
		guard: guard{macs: link.OwnMACs(cfg.Addrs...), addrs: cfg.Addrs, addrs6: cfg.Addrs6},
		table: newTable(),
		start: time.Now(),
		first: make(chan struct{}),
	}
	s.listener = &listener{sw: s, fd: listening}
	s.ports.Store(new([]*port))
	return s
}

// Name implements link.Wire.
func (s *Switch) Name() string { return s.name }

// Stats returns the live counters.
func (s *Switch) Stats() *Stats { return &s.stats }

// Peers is how many there are.
func (s *Switch) Peers() int { return len(*s.ports.Load()) }

// FirstPeer is closed when the first peer has come.
func (s *Switch) FirstPeer() <-chan struct{} { return s.first }

// Start implements link.Wire. That there is no peer is no end: others may come.
func (s *Switch) Start(p *poll.Poller, to link.Taker) error {
	s.poller, s.to = p, to
	return s.listener.start()
}

// Send implements link.Wire.
func (s *Switch) Send(frame []unix.Iovec) bool {
	dst := link.MAC(unsafe.Slice(frame[0].Base, len(link.MAC{})))
	if !isGroup(dst) {
		if p := s.table.lookup(dst); p != nil {
			return p.sock.Send(frame)
		}
	}
	return s.flood(frame, nil)
}

// SendAll implements link.Wire.
func (s *Switch) SendAll(frames [][]unix.Iovec) (taken int) {
	dst := link.MAC(unsafe.Slice(frames[0][0].Base, len(link.MAC{})))
	if !isGroup(dst) {
		if p := s.table.lookup(dst); p != nil {
			return p.sock.SendAll(frames)
		}
	}
	for _, f := range frames {
		if s.flood(f, nil) {
			taken++
		}
	}
	return taken
}

// flood sends a frame to all peers but one, and tells whether any took it.
func (s *Switch) flood(frame []unix.Iovec, but *port) (taken bool) {
	for _, p := range *s.ports.Load() {
		if p != but && p.sock.Send(frame) {
			taken = true
		}
	}
	return taken
}

// forward sends a frame of a peer's on its way. The stack gets those that are
// for it in one piece, from Frames.
func (s *Switch) forward(f []byte, from *port) {
	dst := link.MAC(f[:6])
	var iov [1]unix.Iovec
	iov[0].Base = &f[0]
	iov[0].SetLen(len(f))
	switch {
	case isGroup(dst):
		s.flood(iov[:], from)
		s.toStack = append(s.toStack, f)
	case slices.Contains(s.guard.macs, dst):
		s.toStack = append(s.toStack, f)
	default:
		switch to := s.table.lookup(dst); to {
		case nil:
			s.flood(iov[:], from)
		case from: // it has it on its own side
		default:
			to.sock.Send(iov[:])
		}
	}
}

// Close implements link.Wire.
func (s *Switch) Close() error {
	s.listener.close()
	for _, p := range *s.ports.Load() {
		p.sock.Close()
	}
	return nil
}
