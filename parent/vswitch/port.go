package vswitch

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/framesock"
	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

// port is one peer. It implements framesock.Owner.
type port struct {
	sw     *Switch
	sock   *framesock.Socket
	number link.Port
	addrs  []link.MAC // guarded by sw.table.mu; what it has in the table
}

// plug makes a peer of a connection. It is called on the goroutine that reads.
func (s *Switch) plug(fd int) {
	s.number++
	p := &port{sw: s, number: s.number}
	var err error
	if p.sock, err = framesock.New(fd, s.poller, s.recv, &s.stats.Stats, p); err != nil {
		s.stats.Refused.Add(1)
		unix.Close(fd)
		return
	}
	ports := append(slices.Clone(*s.ports.Load()), p)
	s.ports.Store(&ports)
	s.once.Do(func() { close(s.first) })
}

// Gone implements framesock.Owner.
func (p *port) Gone(*framesock.Socket) {
	s := p.sw
	ports := slices.DeleteFunc(slices.Clone(*s.ports.Load()), func(q *port) bool { return p == q })
	s.ports.Store(&ports)
	s.table.forget(p)
	s.to.Gone(p.number)
	p.sock.Close()
}

// Frames implements framesock.Owner.
func (p *port) Frames(_ *framesock.Socket, frames [][]byte) {
	s := p.sw
	now := time.Since(s.start)
	for _, f := range frames {
		switch s.guard.judge(f) {
		case malformed:
			s.stats.Malformed.Add(1)
			continue
		case forbidden:
			s.stats.Forbidden.Add(1)
			continue
		}
		s.table.learn(link.MAC(f[6:12]), p, now)
		s.forward(f, p)
	}
	if len(s.toStack) > 0 {
		s.to.Frames(s.toStack, p.number)
		s.toStack = s.toStack[:0]
	}
}
