package dhcp

import (
	"net/netip"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Ports of RFC 2131, section 4.1.
const (
	ServerPort = 67
	ClientPort = 68
)

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// Config is what the server tells its clients.
type Config struct {
	Network netip.Prefix
	Gateway netip.Addr // router, and the server's own address
	// Nameserver is the zero Addr when there is none.
	Nameserver netip.Addr
	// First is the first address that is given away. The last one is the
	// network's last.
	First netip.Addr
	// Reserved addresses are not given away; Gateway and Nameserver aren't
	// anyway.
	Reserved []netip.Addr
	MTU      uint32 // bytes
	// Search are the domains of resolv.conf(5). It may be nil.
	Search func() []string
	// Neighbours may be nil.
	Neighbours Neighbours
}

// Server answers clients. Its methods may be called on several goroutines.
type Server struct {
	cfg Config
	now func() time.Time

	mu   sync.Mutex
	pool *pool // guarded by mu
}

// New makes a Server that has given away no address.
func New(cfg Config) *Server {
	never := append([]netip.Addr{cfg.Gateway, cfg.Nameserver}, cfg.Reserved...)
	return &Server{cfg: cfg, now: time.Now, pool: newPool(cfg.First, LastOf(cfg.Network), cfg.Neighbours, never...)}
}

// Handle answers a message, the payload of a UDP datagram to ServerPort that
// came from a Port. to is where the reply goes. It reports false when there is
// none.
func (s *Server) Handle(msg []byte, from Port) (reply []byte, to netip.AddrPort, ok bool) {
	r, ok := parse(msg)
	if !ok {
		return nil, to, false
	}
	r.port = from
	s.mu.Lock()
	m := s.answerLocked(r)
	s.mu.Unlock()
	if m == nil {
		return nil, to, false
	}
	return encode(m), destination(r, m), true
}

// answerLocked is the reply to a request, nil if there is none.
func (s *Server) answerLocked(r *request) *dhcpv4.DHCPv4 {
	switch r.kind {
	case dhcpv4.MessageTypeNone: // BOOTP
		return s.bootpLocked(r)
	case dhcpv4.MessageTypeDiscover:
		return s.discoverLocked(r)
	case dhcpv4.MessageTypeRequest:
		return s.requestLocked(r)
	case dhcpv4.MessageTypeDecline:
		s.declineLocked(r)
	case dhcpv4.MessageTypeRelease:
		s.releaseLocked(r)
	case dhcpv4.MessageTypeInform:
		// The client has an address, and wants to know the rest.
		return s.reply(r, dhcpv4.MessageTypeAck, netip.Addr{}, 0)
	}
	return nil
}

// bootpLocked serves a client that does not ask twice, nor renews.
func (s *Server) bootpLocked(r *request) *dhcpv4.DHCPv4 {
	now := s.now()
	a, ok := s.pool.choose(r.mac, r.current, now)
	if !ok || !s.pool.take(r.lease(a, true, now.Add(leaseTime)), now) {
		return nil
	}
	return s.reply(r, dhcpv4.MessageTypeAck, a, leaseTime)
}

func (s *Server) discoverLocked(r *request) *dhcpv4.DHCPv4 {
	now := s.now()
	a, ok := s.pool.choose(r.mac, r.wanted, now)
	if !ok {
		return nil // RFC 2131, section 4.3.1: report it to the administrator
	}
	// A client that is bound stays so until it takes the offer.
	if l := s.pool.byOwner[r.mac]; l != nil && l.addr == a && now.Before(l.expires) {
		l.port, l.gone = r.port, time.Time{}
	} else if !s.pool.take(r.lease(a, false, now.Add(offerTime)), now) {
		return nil
	}
	s.pool.probe(a)
	return s.reply(r, dhcpv4.MessageTypeOffer, a, leaseTime)
}

// requestLocked follows RFC 2131, section 4.3.2: the client takes an offer,
// has rebooted, or wants to keep its address.
func (s *Server) requestLocked(r *request) *dhcpv4.DHCPv4 {
	now := s.now()
	if r.server.IsValid() && r.server != s.cfg.Gateway {
		if l := s.pool.byOwner[r.mac]; l != nil && !l.bound {
			s.pool.drop(l) // it has taken another server's offer
		}
		return nil
	}
	a := r.wanted
	if !a.IsValid() {
		a = r.current
	}
	if !a.IsValid() {
		return nil
	}
	if !s.pool.free(a, r.mac, now) || !s.pool.take(r.lease(a, true, now.Add(leaseTime)), now) {
		return s.refuse(r)
	}
	return s.reply(r, dhcpv4.MessageTypeAck, a, leaseTime)
}

// declineLocked sets an address aside that its client has found in use.
func (s *Server) declineLocked(r *request) {
	now := s.now()
	l := s.pool.byOwner[r.mac]
	if l == nil || l.addr != r.wanted || r.server.IsValid() && r.server != s.cfg.Gateway {
		return
	}
	s.pool.left(l.addr, r.mac)
	s.pool.take(lease{addr: l.addr, expires: now.Add(declineTime)}, now)
}

// releaseLocked lets others have the client's address. Until one does, the
// client gets it again.
func (s *Server) releaseLocked(r *request) {
	if l := s.pool.byOwner[r.mac]; l != nil && l.addr == r.current {
		l.bound, l.expires = false, s.now()
		s.pool.left(l.addr, r.mac)
	}
}
