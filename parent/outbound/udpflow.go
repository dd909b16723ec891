package outbound

import (
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
	"github.com/slirp4netns-go/slirp4netns/parent/link"
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

// send sends payload, which is that of the guest's packet p, to host.
func (f *udpFlow) send(payload []byte, host netip.AddrPort, p link.Packet) unix.Errno {
	f.life.RLock()
	defer f.life.RUnlock()
	if f.closed {
		return 0 // lost, as datagrams may be
	}
	hopOf(p, host.Addr()).apply(f.fd, f.opts, &f.last)
	if host.Port() != DNSPort {
		f.other.Store(true)
	}
	f.fromGuest.Add(uint64(len(payload)))
	if p.SegSize == 0 || p.SegSize >= len(payload) {
		return f.sendOne(payload, host, p.Bytes)
	}
	var first unix.Errno
	for len(payload) > 0 {
		n := min(p.SegSize, len(payload))
		if errno := f.sendOne(payload[:n], host, p.Bytes); errno != 0 && first == 0 {
			first = errno
		}
		payload = payload[n:]
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
func (f *udpFlow) receiveOne(b []byte) unix.Errno {
	n, peer, errno := hostsock.RecvFrom(f.fd, b)
	if errno != 0 {
		return errno
	}
	f.toGuest.Add(uint64(n))
	src := netip.AddrPortFrom(f.cfg.Policy.GuestView(peer.Addr()), peer.Port())
	f.cfg.Sender.UDP(src, f.guest, b[:n], datagram.Meta{})
	return 0
}

// quote implements dgramOwner.
func (f *udpFlow) quote(e hostsock.Error) ([]byte, bool) {
	dst := netip.AddrPortFrom(f.cfg.Policy.GuestView(e.Dst.Addr()), e.Dst.Port())
	return quoteUDP(f.guest, dst, e.Payload), true
}
