package ndp

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// What is advertised; all as the C program does unless said otherwise.
const (
	curHopLimit       = 64
	routerLifetime    = 1800 * time.Second
	validLifetime     = 86400 * time.Second
	preferredLifetime = 14400 * time.Second
	// nameserverLifetime is three times the longest interval (RFC 8106,
	// section 5.1).
	//
	// slirp4netns: the C program advertises 1,200,000 s, for it counts
	// milliseconds.
	nameserverLifetime = 1800 * time.Second
)

// When it is advertised.
const (
	// minInterval and maxInterval bound the random time between two
	// unsolicited advertisements, as in the C program.
	minInterval = 200 * time.Second
	maxInterval = 600 * time.Second
	// The first ones come faster, for a guest that was up before we were
	// (RFC 4861, section 10: MAX_INITIAL_RTR_ADVERTISEMENTS and
	// MAX_INITIAL_RTR_ADVERT_INTERVAL).
	maxInitial      = 3
	initialInterval = 16 * time.Second
	// minDelay is the least time between two advertisements to all (section
	// 10: MIN_DELAY_BETWEEN_RAS).
	minDelay = 3 * time.Second
	// maxUnicasts is how many solicitations a second are answered each to
	// its sender, which RFC 4861 leaves to us.
	maxUnicasts = 10
)

// Start advertises to all for the first time.
func (r *Responder) Start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.initial = maxInitial - 1
	r.toAllLocked()
}

// Close ends the advertisements, without a last one: the guest's link goes too.
func (r *Responder) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.timer != nil {
		r.timer.Stop()
	}
}

// solicited answers a router solicitation: to its sender at once, or where it
// has no address yet, to all as soon as that may be. There is no other router
// to draw lots with, so the random delay of RFC 4861, section 6.2.6 is 0.
func (r *Responder) solicited(src netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	now := r.now()
	if !src.IsUnspecified() {
		if now.Sub(r.windowFrom) >= time.Second {
			r.windowFrom, r.unicasts = now, 0
		}
		if r.unicasts++; r.unicasts <= maxUnicasts {
			r.cfg.Send(r.cfg.Addrs[0], src, r.advert())
		}
		return
	}
	wait := minDelay - now.Sub(r.lastToAll)
	if r.lastToAll.IsZero() || wait <= 0 {
		r.toAllLocked()
		return
	}
	r.scheduleLocked(wait)
}

// toAllLocked advertises to all and schedules the next time. r.mu is held.
func (r *Responder) toAllLocked() {
	if r.closed {
		return
	}
	r.cfg.Send(r.cfg.Addrs[0], allNodes, r.advert())
	r.lastToAll = r.now()
	wait := minInterval + rand.N(maxInterval-minInterval)
	if r.initial > 0 {
		r.initial--
		wait = initialInterval
	}
	r.scheduleLocked(wait)
}

// scheduleLocked sets when the next advertisement to all is due. r.mu is held.
func (r *Responder) scheduleLocked(wait time.Duration) {
	if r.timer != nil {
		r.timer.Stop()
	}
	r.timer = time.AfterFunc(wait, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.toAllLocked()
	})
}

// advert is a router advertisement (RFC 4861, section 4.2).
func (r *Responder) advert() []byte {
	b := make([]byte, routerAdvertLen, 128)
	b[0], b[4] = byte(header.ICMPv6RouterAdvert), curHopLimit
	binary.BigEndian.PutUint16(b[6:], uint16(seconds(routerLifetime)))
	b = appendMAC(b, optSourceMAC, r.cfg.MAC)
	b = appendMTU(b, r.cfg.MTU)
	b = appendPrefix(b, r.cfg.Prefix, validLifetime, preferredLifetime)
	if r.cfg.Nameserver.IsValid() {
		b = appendNameserver(b, r.cfg.Nameserver, nameserverLifetime)
	}
	return b
}
