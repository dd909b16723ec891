package hostfwd

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
)

// Send sends a datagram that the guest starts an exchange with, from a port
// that is forwarded: it leaves from the host's port, so that others can answer
// there, and find the guest there later. It reports false, and does nothing,
// where no rule leads to from or none of their sockets can reach host.
//
// segSize is not 0 for several datagrams of that size behind each other.
//
// Nothing is remembered: the answer is that of a client. Errors of the network
// are not passed on.
//
// slirp4netns: the C program does so too, but takes the first rule whether it
// can reach host or not.
func (t *Table) Send(from, host netip.AddrPort, payload []byte, segSize int) bool {
	p := t.udp.portOf(from, host.Addr())
	if p == nil {
		return false
	}
	var ctrl []byte
	if t.cfg.Control != nil && p.rule.Host.Addr().IsUnspecified() {
		ctrl = t.cfg.Control(host.Addr())
	}
	p.life.RLock()
	defer p.life.RUnlock()
	if p.closed {
		return false
	}
	p.sendLocked(payload, segSize, host, ctrl)
	return true
}

// sendLocked sends a datagram, or what the guest's kernel handed over in one
// piece for several of size bytes each if that is not 0. p.life is held.
//
// An error is that of the network or of a full buffer, and the datagram is lost
// as datagrams may be. Errors of earlier ones are not reported to a socket that
// is not connected (udp(7)).
func (p *datagramPort) sendLocked(payload []byte, size int, to netip.AddrPort, ctrl []byte) {
	if size == 0 || size >= len(payload) {
		hostsock.SendTo(p.fd, payload, to, ctrl)
		return
	}
	for b := range slices.Chunk(payload, size*hostsock.MaxSegments) {
		if hostsock.Segments() && len(b) > size {
			switch hostsock.SendSegments(p.fd, b, size, to, ctrl) {
			case 0, unix.EAGAIN:
				continue
			}
		}
		for b := range slices.Chunk(b, size) {
			hostsock.SendTo(p.fd, b, to, ctrl)
		}
	}
}

// portOf is a port that leads to guest and can reach the host's address a.
func (s *sessions) portOf(guest netip.AddrPort, a netip.Addr) *datagramPort {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, p := range s.ports[guest] {
		if p.rule.reaches(a) {
			return p
		}
	}
	return nil
}

// reaches tells whether a socket that is bound to the rule's address can send
// to a.
func (r *Rule) reaches(a netip.Addr) bool {
	host := r.Host.Addr()
	switch {
	case host.IsUnspecified():
		return r.covers(a)
	case host.Is4() != a.Is4():
		return false
	case host.IsLoopback():
		return a.IsLoopback()
	case host.Is6() && host.IsLinkLocalUnicast():
		return false // a guest's packet goes to no link-local address
	}
	return true
}

// enter notes where the guest's datagrams may leave.
func (s *sessions) enter(p *datagramPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ports[p.guest] = append(s.ports[p.guest], p)
}

// leave undoes enter.
func (s *sessions) leave(p *datagramPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rest := slices.DeleteFunc(s.ports[p.guest], func(o *datagramPort) bool { return o == p })
	if len(rest) == 0 {
		delete(s.ports, p.guest)
		return
	}
	s.ports[p.guest] = rest
}
