package ndp

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Config describes the router.
type Config struct {
	// Addrs are the addresses that are ours. The first one is link-local,
	// and the source of router advertisements.
	Addrs []netip.Addr
	// MAC is the Ethernet address of all of them.
	MAC [6]byte

	Prefix     netip.Prefix // of 64 bits
	MTU        uint32       // bytes
	Nameserver netip.Addr   // the zero Addr: none to advertise

	// Send sends an ICMPv6 message, whose checksum it computes, with a hop
	// limit of 255.
	Send func(src, dst netip.Addr, msg []byte)
}

// Message is an ICMPv6 message of the guest whose checksum was verified.
type Message struct {
	Src, Dst netip.Addr
	HopLimit uint8
	Bytes    []byte // of at least 1 byte
}

// Responder is the router.
type Responder struct {
	cfg Config
	now func() time.Time

	mu         sync.Mutex
	timer      *time.Timer // guarded by mu; of the next advertisement to all
	initial    int         // guarded by mu; how many more come fast
	lastToAll  time.Time   // guarded by mu
	unicasts   int         // guarded by mu; answers since windowFrom
	windowFrom time.Time   // guarded by mu
	closed     bool        // guarded by mu
}

// New makes a Responder that does not speak until Start.
func New(cfg Config) *Responder { return &Responder{cfg: cfg, now: time.Now} }

// Handle takes a message of the guest and reports whether it was one of
// neighbour discovery, good or bad. It is called on one goroutine.
func (r *Responder) Handle(m Message) bool {
	switch header.ICMPv6Type(m.Bytes[0]) {
	case header.ICMPv6NeighborSolicit:
		if target, ok := solicited(m); ok {
			r.answer(m, target)
		}
	case header.ICMPv6RouterSolicit:
		if solicitsRouter(m) {
			r.solicited(m.Src)
		}
	case header.ICMPv6NeighborAdvert, header.ICMPv6RouterAdvert, header.ICMPv6RedirectMsg:
		// The link has learnt the sender's address; the rest is hearsay.
	default:
		return false
	}
	return true
}

// solicited is the target of a valid neighbour solicitation: RFC 4861, section
// 7.1.1.
func solicited(m Message) (target netip.Addr, ok bool) {
	b := m.Bytes
	if m.HopLimit != hopLimit || len(b) < neighbourAdvertLen || b[1] != 0 {
		return target, false
	}
	hasSource, ok := options(b[neighbourAdvertLen:])
	if m.Src.IsUnspecified() && (hasSource || !solicitedNode.Contains(m.Dst)) {
		return target, false
	}
	target = netip.AddrFrom16([16]byte(b[8:24]))
	return target, ok && !target.IsMulticast()
}

// answer answers for our addresses, also when the guest asks whether it may
// have one of them (RFC 4862, section 5.4.3). Nobody else's are known to us.
func (r *Responder) answer(m Message, target netip.Addr) {
	if !slices.Contains(r.cfg.Addrs, target) || slices.Contains(r.cfg.Addrs, m.Src) {
		return
	}
	dst, flags := m.Src, byte(flagRouter|flagSolicited|flagOverride)
	if dst.IsUnspecified() {
		dst, flags = allNodes, flagRouter|flagOverride
	}
	r.cfg.Send(target, dst, neighbourAdvert(target, r.cfg.MAC, flags))
}

// solicitsRouter tells whether a router solicitation is valid: RFC 4861,
// section 6.1.1.
func solicitsRouter(m Message) bool {
	b := m.Bytes
	if m.HopLimit != hopLimit || len(b) < routerSolicitLen || b[1] != 0 {
		return false
	}
	hasSource, ok := options(b[routerSolicitLen:])
	return ok && !(hasSource && m.Src.IsUnspecified())
}
