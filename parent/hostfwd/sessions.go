package hostfwd

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/parent/flowtable"
	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

// sessionIdle is how long a session lives without a datagram. RFC 4787, REQ-5
// asks for at least two minutes.
const sessionIdle = 240 * time.Second

// sessions are all UDP sessions of a Table.
type sessions struct {
	cfg   *Config
	table *flowtable.Table[sessionKey, *session]
	total atomic.Uint64
	// noPort counts datagrams for which no session could be made.
	noPort atomic.Uint64

	mu      sync.RWMutex
	byGuest map[guestPair]*session             // guarded by mu; where the guest's answers go
	ports   map[netip.AddrPort][]*datagramPort // guarded by mu; by where they lead to
}

// sessionKey is what makes a session on the host's side.
type sessionKey struct {
	port   *datagramPort
	client netip.AddrPort
	asked  hostsock.Local // the address of ours that the client sent to
}

// guestPair is what makes a session on the guest's side.
type guestPair struct{ guest, seen netip.AddrPort }

// session is the exchange of one client with one forwarded port.
type session struct {
	sessionKey
	guestPair
	ctrl    []byte // makes answers leave from the address that was asked
	created time.Time

	toGuest, toClient atomic.Uint64 // bytes
	answered          atomic.Bool   // since the client's last datagram
}

func newSessions(cfg *Config) *sessions {
	s := &sessions{cfg: cfg, byGuest: make(map[guestPair]*session), ports: make(map[netip.AddrPort][]*datagramPort)}
	s.table = flowtable.New[sessionKey](cfg.MaxSessions, s.ended)
	return s
}

// of finds or makes the session of a datagram. It reports false when every
// port as which the guest could see the client is taken.
func (s *sessions) of(k sessionKey) (*session, bool) {
	if e, ok := s.table.Get(k); ok {
		e.answered.Store(false)
		return e, true
	}
	e := &session{sessionKey: k, ctrl: k.asked.Control(), created: time.Now()}
	e.guest = k.port.guest
	addr := s.cfg.seen(k.client.Addr(), e.guest.Addr())
	e.seen = netip.AddrPortFrom(addr, k.client.Port())
	s.mu.Lock()
	for tries := 0; s.byGuest[e.guestPair] != nil; tries++ {
		if tries == maxTries {
			s.mu.Unlock()
			s.noPort.Add(1)
			return nil, false
		}
		e.seen = netip.AddrPortFrom(addr, uint16(firstEphemeral+rand.IntN(65536-firstEphemeral)))
	}
	s.byGuest[e.guestPair] = e
	s.mu.Unlock()
	s.total.Add(1)
	s.table.Put(k, e, sessionIdle)
	return e, true
}

const (
	// firstEphemeral is where the ports begin that are no service's (RFC 6335).
	firstEphemeral = 49152
	// maxTries is how many of them are tried. There are fewer sessions than
	// a quarter of them, so it is enough.
	maxTries = 64
)

// ended is called for each session that leaves the table.
func (s *sessions) ended(e *session) {
	s.mu.Lock()
	if s.byGuest[e.guestPair] == e {
		delete(s.byGuest, e.guestPair)
	}
	s.mu.Unlock()
}

// endOf ends the sessions of a port.
func (s *sessions) endOf(p *datagramPort) {
	s.mu.RLock()
	var keys []sessionKey
	for _, e := range s.byGuest {
		if e.port == p {
			keys = append(keys, e.sessionKey)
		}
	}
	s.mu.RUnlock()
	for _, k := range keys {
		s.table.Remove(k)
	}
}

// HandleUDP takes a datagram of the guest if it belongs to a session, and sends
// it to the client. It runs on the link's goroutine.
func (t *Table) HandleUDP(p link.Packet) bool {
	s := t.udp
	pair, payload, ok := parse(p)
	if !ok {
		return false
	}
	s.mu.RLock()
	e := s.byGuest[pair]
	s.mu.RUnlock()
	if e == nil {
		return false
	}
	s.heard(e)
	e.toClient.Add(uint64(len(payload)))
	e.port.send(payload, p.SegSize, e)
	return true
}

// heard notes a datagram of the guest. They keep a session, but one with the
// host's loopback only once after each of the client's: its ports change hands,
// and --disable-host-loopback may be on.
func (s *sessions) heard(e *session) {
	if !e.client.Addr().Unmap().IsLoopback() || !e.answered.Swap(true) {
		s.table.Answered(e.sessionKey, sessionIdle)
	}
}

// parse takes a UDP packet apart.
func parse(p link.Packet) (pair guestPair, payload []byte, ok bool) {
	udp := header.UDP(p.Bytes[p.HdrLen:])
	if len(udp) < header.UDPMinimumSize || int(udp.Length()) < header.UDPMinimumSize || int(udp.Length()) > len(udp) {
		return guestPair{}, nil, false
	}
	var src, dst netip.Addr
	if p.Bytes[0]>>4 == 4 {
		src, dst = netip.AddrFrom4([4]byte(p.Bytes[12:16])), netip.AddrFrom4([4]byte(p.Bytes[16:20]))
	} else {
		src, dst = netip.AddrFrom16([16]byte(p.Bytes[8:24])), netip.AddrFrom16([16]byte(p.Bytes[24:40]))
	}
	pair = guestPair{netip.AddrPortFrom(src, udp.SourcePort()), netip.AddrPortFrom(dst, udp.DestinationPort())}
	return pair, udp[header.UDPMinimumSize:udp.Length()], true
}
