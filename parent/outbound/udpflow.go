package outbound

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
	"github.com/slirp4netns-go/slirp4netns/parent/link"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// recvTurn is how many datagrams one flow may receive before others have their
// turn.
const recvTurn = 256

// maxFailed is how many errors in one turn are taken for those of datagrams.
// With more the socket itself does not work, and must not keep us busy.
const maxFailed = 32

// udpFlow is one host socket: all that one guest address and port sends.
type udpFlow struct {
	udp   *UDP
	guest netip.AddrPort
	fd    int
	opts  *sockopts
	token poll.Token
	last  hop         // what the socket is set to; link's goroutine only
	dns   atomic.Bool // the last datagram went to a DNS server
	task  poll.Task   // goes on receiving after a turn

	life   sync.RWMutex // held for reading while fd is used
	closed bool         // guarded by life

	fromGuest, toGuest atomic.Uint64 // bytes of payload

	recv sync.Mutex // held while receiving, which keeps the order
}

// open makes the host socket of a new flow.
func (u *UDP) open(guest netip.AddrPort) (*udpFlow, unix.Errno) {
	fd, err := unix.Socket(hostsock.Family(guest.Addr()), unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, errnoOf(err)
	}
	opts := sockoptsOf(guest.Addr())
	opts.set(fd, opts.recvErr, 1)
	if guest.Addr().Is6() {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	// Groups that others on the host have joined are not the guest's (ip(7)).
	opts.set(fd, opts.groupAll, 0)
	f := &udpFlow{udp: u, guest: guest, fd: fd, opts: opts, last: socketHop(fd, opts)}
	f.task.Init(func() { f.HandleEvents(poll.In) })
	f.life.Lock() // an event may come before the token is stored
	defer f.life.Unlock()
	token, err := u.cfg.Poller.Add(fd, poll.In, f)
	if err != nil {
		unix.Close(fd)
		return nil, errnoOf(err)
	}
	f.token = token
	return f, 0
}

// close ends the flow. It waits for whoever uses the socket.
func (f *udpFlow) close() {
	f.life.Lock()
	defer f.life.Unlock()
	f.closed = true
	f.udp.cfg.Poller.Remove(f.fd, f.token)
	unix.Close(f.fd)
}

// send sends payload, which is that of the guest's packet p, to host.
func (f *udpFlow) send(payload []byte, host netip.AddrPort, p link.Packet) unix.Errno {
	f.life.RLock()
	defer f.life.RUnlock()
	if f.closed {
		return 0 // lost, as datagrams may be
	}
	hopOf(p, host.Addr()).apply(f.fd, f.opts, &f.last)
	f.dns.Store(host.Port() == DNSPort)
	f.fromGuest.Add(uint64(len(payload)))
	ctrl := f.udp.cfg.Source.of(host.Addr()).control(host.Addr())
	if p.SegSize == 0 || p.SegSize >= len(payload) {
		return f.sendOne(payload, host, ctrl, p.Bytes)
	}
	var first unix.Errno
	for len(payload) > 0 {
		n := min(p.SegSize, len(payload))
		if errno := f.sendOne(payload[:n], host, ctrl, p.Bytes); errno != 0 && first == 0 {
			first = errno
		}
		payload = payload[n:]
	}
	return first
}

// sendOne sends one datagram, which is part of the guest's packet.
func (f *udpFlow) sendOne(b []byte, host netip.AddrPort, ctrl, packet []byte) unix.Errno {
	errno := hostsock.SendTo(f.fd, b, host, ctrl)
	if errno == 0 || errno == unix.EAGAIN {
		return errno
	}
	if !f.drainErrors(packet) {
		return errno
	}
	if errno != unix.EMSGSIZE {
		// It was the error of an earlier datagram, which has been told.
		return hostsock.SendTo(f.fd, b, host, ctrl)
	}
	// The guest has been told the path's MTU and will heed it. Whether its
	// program discovers MTUs or just sent more than the path takes cannot be
	// seen from here, so this one is not lost either.
	f.opts.setDF(f.fd, false)
	f.last.df = false
	return hostsock.SendTo(f.fd, b, host, ctrl)
}

// HandleEvents implements poll.Handler.
func (f *udpFlow) HandleEvents(events uint32) {
	f.life.RLock()
	defer f.life.RUnlock()
	if f.closed {
		return
	}
	if events&poll.Err != 0 {
		f.drainErrors(nil)
	}
	if f.receive() == 0 {
		return
	}
	if f.dns.Load() {
		f.udp.table.Answered(f.guest, udpIdleDNS)
	} else {
		f.udp.table.Answered(f.guest, udpIdle)
	}
}

// receive passes on what the socket has and returns how many datagrams it
// were.
func (f *udpFlow) receive() int {
	f.recv.Lock()
	defer f.recv.Unlock()
	b := buffers.Get().(*[hostsock.MaxDatagram]byte)
	defer buffers.Put(b)
	got, failed := 0, 0
	for range recvTurn {
		size, peer, errno := hostsock.RecvFrom(f.fd, b[:])
		if errno == unix.EAGAIN {
			return got
		}
		if errno != 0 {
			// The error of an earlier datagram, which hides what has come.
			f.drainErrors(nil)
			if failed++; failed > maxFailed {
				return got
			}
			continue
		}
		got++
		f.toGuest.Add(uint64(size))
		src := netip.AddrPortFrom(f.udp.cfg.Policy.GuestView(peer.Addr()), peer.Port())
		f.udp.cfg.Sender.UDP(src, f.guest, b[:size], datagram.Meta{})
	}
	f.udp.cfg.Worker.Schedule(&f.task)
	return got
}

// buffers are what datagrams are received into.
var buffers = sync.Pool{New: func() any { return new([hostsock.MaxDatagram]byte) }}

// drainErrors tells the guest of what is in the error queue, and reports
// whether there was anything. packet is what is being sent, or nil.
func (f *udpFlow) drainErrors(packet []byte) bool {
	p := f.udp.cfg.Policy
	return drain(f.fd, func(e hostsock.Error) {
		m, ok := p.icmpError(e)
		if !ok || !e.Dst.IsValid() {
			return
		}
		quote := packet
		if !inHand(e, packet) {
			dst := netip.AddrPortFrom(p.GuestView(e.Dst.Addr()), e.Dst.Port())
			quote = quoteUDP(f.guest, dst, e.Payload)
		}
		f.udp.cfg.Sender.Error(m, quote)
	})
}
