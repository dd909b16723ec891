package hostfwd

import (
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// recvTurn is how many datagrams one port may receive before others have their
// turn.
const recvTurn = 256

// datagramPort is one UDP port.
type datagramPort struct {
	sessions *sessions
	rule     *rule
	guest    netip.AddrPort
	fd       int
	token    poll.Token
	task     poll.Task // goes on receiving after a turn

	life   sync.RWMutex // held for reading while fd is used
	closed bool         // guarded by life

	recv sync.Mutex // held while receiving, which keeps the order
	many bool       // guarded by recv: there was more than one the last time
}

// serve begins to receive datagrams for guest.
func (s *sessions) serve(r *rule, fd int, guest netip.AddrPort) (port, error) {
	p := &datagramPort{sessions: s, rule: r, guest: guest, fd: fd}
	p.task.Init(func() { p.HandleEvents(poll.In) })
	p.life.Lock() // an event may come before the token is stored
	defer p.life.Unlock()
	var err error
	if p.token, err = s.cfg.Poller.Add(fd, poll.In, p); err != nil {
		return nil, err
	}
	s.enter(p)
	return p, nil
}

// close frees the port and ends its sessions. It waits for whoever uses the
// socket.
func (p *datagramPort) close() {
	p.life.Lock()
	p.closed = true
	p.sessions.cfg.Poller.Remove(p.fd, p.token)
	unix.Close(p.fd)
	p.life.Unlock()
	p.sessions.leave(p)
	p.sessions.endOf(p)
}

// HandleEvents implements poll.Handler.
func (p *datagramPort) HandleEvents(uint32) {
	p.life.RLock()
	defer p.life.RUnlock()
	if p.closed {
		return
	}
	p.recv.Lock()
	defer p.recv.Unlock()
	b := p.sessions.cfg.Sender.Burst(p.many)
	defer func() { p.many = b.End() > 1 }()
	for range recvTurn {
		n, client, asked, errno := hostsock.RecvInfo(p.fd, b.Room())
		switch errno {
		case 0:
			p.deliver(b, n, client, asked)
		case unix.EAGAIN:
			return
		}
		// Other errors are those of a datagram that could not be delivered.
	}
	p.sessions.cfg.Worker.Schedule(&p.task)
}

// deliver sends a client's datagram of n bytes, which is in b's room, to the
// guest.
func (p *datagramPort) deliver(b *datagram.Burst, n int, client netip.AddrPort, asked hostsock.Local) {
	e, ok := p.sessions.of(sessionKey{port: p, client: client, asked: asked})
	if !ok {
		return
	}
	e.toGuest.Add(uint64(n))
	b.Add(e.seen, e.guest, n)
}

// send sends the guest's answer, or several of segSize bytes each, to the
// client.
func (p *datagramPort) send(payload []byte, segSize int, e *session) {
	p.life.RLock()
	defer p.life.RUnlock()
	if p.closed {
		return
	}
	p.sendLocked(payload, segSize, e.client, e.ctrl)
}
