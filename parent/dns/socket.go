package dns

import (
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// maxFailed is how many errors in a row are taken for those of queries. With
// more the socket itself does not work, and must not keep us busy.
const maxFailed = 32

// socket is one of the host's, connected to a resolver from a random port, on
// behalf of one port of the guest. Its fields are guarded by the relay's lock.
type socket struct {
	flow     *flow
	resolver netip.AddrPort
	fd       int // -1: closed
	token    poll.Token
}

// sendLocked sends a query to a resolver, from the socket that its flow has
// for it.
func (r *Relay) sendLocked(q *query, to netip.AddrPort) unix.Errno {
	s, errno := r.socketLocked(q.flow, to)
	if errno != 0 {
		return errno
	}
	errno = hostsock.SendTo(s.fd, q.msg, netip.AddrPort{}, nil)
	if unusable(errno) {
		// Perhaps the error of an earlier query; this one has not been sent.
		drain(s.fd)
		errno = hostsock.SendTo(s.fd, q.msg, netip.AddrPort{}, nil)
	}
	if !unusable(errno) {
		q.expect(to, true) // if it is lost, it is lost
	}
	return errno
}

// socketLocked finds or makes the socket of a flow for a resolver.
func (r *Relay) socketLocked(f *flow, to netip.AddrPort) (*socket, unix.Errno) {
	for _, s := range f.sockets {
		if s.resolver == to {
			return s, 0
		}
	}
	if errno := r.roomLocked(f); errno != 0 {
		return nil, errno
	}
	fd, err := r.connect(to)
	if err != nil {
		return nil, errnoOf(err)
	}
	s := &socket{flow: f, resolver: to, fd: fd}
	// An event that comes at once waits for the lock.
	if s.token, err = r.cfg.Poller.Add(fd, poll.In, s); err != nil {
		unix.Close(fd)
		return nil, errnoOf(err)
	}
	f.sockets = append(f.sockets, s)
	r.sockets++
	return s, 0
}

// connect makes a connected socket. The kernel draws its port at random.
func (r *Relay) connect(to netip.AddrPort) (int, error) {
	fd, err := unix.Socket(hostsock.Family(to.Addr()), unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	// Errors other than a closed port, which comes anyway, are told only to
	// those who ask for them (ip(7), ipv6(7)).
	if to.Addr().Is4() {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVERR, 1)
	} else {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1)
	}
	if r.cfg.Bind != nil {
		err = r.cfg.Bind(fd, to.Addr())
	}
	if err == nil {
		err = unix.Connect(fd, hostsock.Sockaddr(to))
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (s *socket) closeLocked() {
	r := s.flow.relay
	r.cfg.Poller.Remove(s.fd, s.token)
	unix.Close(s.fd)
	s.fd = -1
	r.sockets--
}

// HandleEvents implements poll.Handler: answers go to the guest.
func (s *socket) HandleEvents(uint32) {
	b := buffers.Get().(*[hostsock.MaxDatagram]byte)
	defer buffers.Put(b)
	for failed := 0; failed < maxFailed; {
		switch s.receive(b[:]) {
		case 0:
			failed = 0
		case unix.EAGAIN:
			return
		default:
			failed++
		}
	}
}

// receive takes one answer, or error, off the socket. The lock keeps it open.
func (s *socket) receive(b []byte) unix.Errno {
	r := s.flow.relay
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.fd < 0 {
		return unix.EAGAIN
	}
	n, _, errno := hostsock.RecvFrom(s.fd, b)
	switch {
	case errno == 0 && isAnswer(b[:n]):
		r.answerLocked(s.flow, s.resolver, b[:n])
	case unusable(errno):
		drain(s.fd)
		r.refusedLocked(s.flow, s.resolver)
	}
	return errno
}

// drain empties the error queue.
func drain(fd int) {
	var b [1]byte
	for {
		if _, errno := hostsock.RecvErr(fd, b[:]); errno != 0 {
			return
		}
	}
}

// unusable tells of errors that are about a resolver, and not about us (too
// many descriptors) or one query (too large).
func unusable(errno unix.Errno) bool {
	switch errno {
	case unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN, unix.ENETDOWN,
		unix.EACCES, unix.EPERM, unix.ENOPROTOOPT, unix.EPROTO,
		unix.EADDRNOTAVAIL, unix.EAFNOSUPPORT, unix.EINVAL: // no such family or scope here
		return true
	}
	return false
}

// errnoOf finds the errno in an error.
func errnoOf(err error) unix.Errno {
	for err != nil {
		if e, ok := err.(unix.Errno); ok {
			return e
		}
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			break
		}
		err = u.Unwrap()
	}
	return unix.EIO
}

var buffers = sync.Pool{New: func() any { return new([hostsock.MaxDatagram]byte) }}
