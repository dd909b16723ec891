package outbound

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
)

// udpFlow is one host socket: all that one guest address and port sends.
type udpFlow struct {
	dgram
	udp *UDP
	udpKey
	// other says that a datagram went to something else than a DNS server.
	other atomic.Bool

	fromGuest, toGuest atomic.Uint64 // bytes of payload
}

// open makes the host socket of a new flow.
func (u *UDP) open(key udpKey) (*udpFlow, unix.Errno) {
	fd, err := unix.Socket(hostsock.Family(key.guest.Addr()), unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, errnoOf(err)
	}
	if err := key.pin.bind(fd); err != nil {
		unix.Close(fd)
		return nil, errnoOf(err)
	}
	opts := sockoptsOf(key.guest.Addr())
	if key.guest.Addr().Is6() {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	// Groups that others on the host have joined are not the guest's (ip(7)).
	opts.set(fd, opts.groupAll, 0)
	f := &udpFlow{udp: u, udpKey: key}
	if err := f.dgram.open(&u.dgram, f, fd, opts); err != nil {
		return nil, errnoOf(err)
	}
	return f, 0
}

// send sends payload, which is that of the guest's packet, to host; in pieces
// of segSize bytes if that is not 0.
func (f *udpFlow) send(payload []byte, segSize int, host netip.AddrPort, h hop, packet []byte) unix.Errno {
	f.life.RLock()
	defer f.life.RUnlock()
	if f.closed {
		return 0 // lost, as datagrams may be
	}
	h.apply(f.fd, f.opts, &f.last)
	if host.Port() != DNSPort {
		f.other.Store(true)
	}
	f.fromGuest.Add(uint64(len(payload)))
	if segSize == 0 || segSize >= len(payload) {
		return f.sendOne(payload, host, packet)
	}
	var first unix.Errno
	for b := range slices.Chunk(payload, segSize*hostsock.MaxSegments) {
		if errno := f.sendSegments(b, segSize, host, packet); errno != 0 && first == 0 {
			first = errno
		}
	}
	return first
}

// sendSegments sends up to hostsock.MaxSegments datagrams of size bytes each.
func (f *udpFlow) sendSegments(b []byte, size int, host netip.AddrPort, packet []byte) (first unix.Errno) {
	if hostsock.Segments() && len(b) > size {
		switch errno := hostsock.SendSegments(f.fd, b, size, host, f.cfg.Source.Control(host.Addr())); errno {
		case 0, unix.EAGAIN:
			return errno
		}
		// Whatever it is, each one will tell.
	}
	for b := range slices.Chunk(b, size) {
		if errno := f.sendOne(b, host, packet); errno != 0 && first == 0 {
			first = errno
		}
	}
	return first
}

// sendOne sends one datagram, which is part of the guest's packet.
func (f *udpFlow) sendOne(b []byte, host netip.AddrPort, packet []byte) unix.Errno {
	errno := f.sendTo(b, host, packet)
	if errno != unix.EMSGSIZE {
		return errno
	}
	// The guest has been told the path's MTU and will heed it. Whether its
	// program discovers MTUs or just sent more than the path takes cannot be
	// seen from here, so this one is not lost either.
	f.opts.setDF(f.fd, false)
	f.last.df = false
	return f.sendTo(b, host, packet)
}

// HandleEvents implements poll.Handler.
func (f *udpFlow) HandleEvents(events uint32) {
	f.life.RLock()
	defer f.life.RUnlock()
	if f.closed || f.receive(events) == 0 {
		return
	}
	f.udp.table.Answered(f.udpKey, f.idle())
}

// idle is how long the mapping lives after an answer. One that is for more than
// DNS lives as long as any: peers may count on it.
func (f *udpFlow) idle() time.Duration {
	if f.other.Load() {
		return udpIdle
	}
	return udpIdleDNS
}

// receiveOne implements dgramOwner.
func (f *udpFlow) receiveOne(b *datagram.Burst) unix.Errno {
	n, peer, errno := hostsock.RecvFrom(f.fd, b.Room())
	if errno != 0 {
		return errno
	}
	f.toGuest.Add(uint64(n))
	b.Add(netip.AddrPortFrom(f.cfg.Policy.GuestView(peer.Addr()), peer.Port()), f.guest, n)
	return 0
}

// quote implements dgramOwner.
func (f *udpFlow) quote(e hostsock.Error) ([]byte, bool) {
	dst := netip.AddrPortFrom(f.cfg.Policy.GuestView(e.Dst.Addr()), e.Dst.Port())
	return quoteUDP(f.guest, dst, e.Payload), true
}
