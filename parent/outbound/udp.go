package outbound

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/flowtable"
	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
	"github.com/slirp4netns-go/slirp4netns/parent/link"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

const (
	// udpIdle is how long a mapping lives without a datagram, the C
	// program's SO_EXPIRE. RFC 4787, REQ-5 asks for at least two minutes.
	udpIdle = 240 * time.Second
	// udpIdleDNS is the same after a reply from a DNS server.
	udpIdleDNS = 10 * time.Second
	// maxUDPFlows bounds the table: a port scan uses up no more sockets.
	maxUDPFlows = 4096
)

// UDP carries the guest's datagrams.
type UDP struct {
	cfg   UDPConfig
	table *flowtable.Table[netip.AddrPort, *udpFlow]
}

// UDPConfig is what UDP works with.
type UDPConfig struct {
	Policy *Policy
	Source *Source
	Poller *poll.Poller
	Worker *poll.Worker
	Sender *datagram.Sender
	// Relay takes DNS queries to the nameserver.
	Relay func(src, dst netip.AddrPort, payload []byte)
	Max   int // flows at most; 0: 4096
}

// NewUDP makes the table.
func NewUDP(cfg UDPConfig) *UDP {
	if cfg.Max == 0 {
		cfg.Max = maxUDPFlows
	}
	return &UDP{cfg: cfg, table: flowtable.New[netip.AddrPort](cfg.Max, (*udpFlow).close)}
}

// udpTurn is how many datagrams one flow may receive before others have their
// turn.
const udpTurn = 256

// udpFlow is one host socket: all that one guest address and port sends.
type udpFlow struct {
	udp   *UDP
	guest netip.AddrPort
	fd    int
	token poll.Token
	last  hop         // what the socket is set to; link's goroutine only
	dns   atomic.Bool // the last datagram went to a DNS server
	task  poll.Task   // goes on receiving after a turn

	life   sync.RWMutex // held for reading while fd is used
	closed bool         // guarded by life

	recv sync.Mutex // held while receiving, which keeps the order
}

// Handle takes a datagram of the guest. p is not a fragment. It runs on the
// link's goroutine.
func (u *UDP) Handle(p link.Packet) {
	ip := header.IPv4(p.Bytes)
	udp := header.UDP(p.Bytes[p.HdrLen:])
	if len(udp) < header.UDPMinimumSize || int(udp.Length()) < header.UDPMinimumSize || int(udp.Length()) > len(udp) {
		return
	}
	src := netip.AddrPortFrom(netip.AddrFrom4([4]byte(p.Bytes[12:16])), udp.SourcePort())
	dst := netip.AddrPortFrom(netip.AddrFrom4([4]byte(p.Bytes[16:20])), udp.DestinationPort())
	payload := udp[header.UDPMinimumSize:udp.Length()]
	if ip.TTL() <= 1 {
		u.cfg.Sender.Error(datagram.ICMPError{Type: datagram.TypeTimeExceeded, Offender: u.cfg.Policy.Gateway}, p.Bytes)
		return
	}
	host, v := u.cfg.Policy.Route(dst)
	switch v {
	case Relay:
		u.cfg.Relay(src, dst, payload)
		return
	case Unreachable:
		u.unreachable(unix.ENETUNREACH, p.Bytes)
		return
	}
	f, ok := u.table.Get(src)
	if !ok {
		var errno unix.Errno
		if f, errno = u.open(src); errno != 0 {
			u.unreachable(errno, p.Bytes)
			return
		}
		u.table.Put(src, f, udpIdle)
	}
	if errno := f.send(payload, host, hopOf(ip), p.SegSize); errno != 0 {
		u.unreachable(errno, p.Bytes)
	}
}

func (u *UDP) unreachable(errno unix.Errno, packet []byte) {
	if code, ok := icmpCode(errno); ok {
		u.cfg.Sender.Error(datagram.ICMPError{Type: datagram.TypeUnreachable, Code: code, Offender: u.cfg.Policy.Gateway}, packet)
	}
}

// open makes the host socket of a new flow.
func (u *UDP) open(guest netip.AddrPort) (*udpFlow, unix.Errno) {
	fd, err := unix.Socket(hostsock.Family(guest.Addr()), unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, errnoOf(err)
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVERR, 1)
	f := &udpFlow{udp: u, guest: guest, fd: fd, last: socketHop(fd)}
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

// send sends the guest's payload to host.
func (f *udpFlow) send(payload []byte, host netip.AddrPort, h hop, segSize int) unix.Errno {
	f.life.RLock()
	defer f.life.RUnlock()
	if f.closed {
		return 0 // lost, as datagrams may be
	}
	h.apply(f.fd, &f.last)
	f.dns.Store(host.Port() == DNSPort)
	ctrl := f.udp.cfg.Source.control(host.Addr())
	if segSize == 0 || segSize >= len(payload) {
		return f.sendOne(payload, host, ctrl)
	}
	var first unix.Errno
	for len(payload) > 0 {
		n := min(segSize, len(payload))
		if errno := f.sendOne(payload[:n], host, ctrl); errno != 0 && first == 0 {
			first = errno
		}
		payload = payload[n:]
	}
	return first
}

func (f *udpFlow) sendOne(b []byte, host netip.AddrPort, ctrl []byte) unix.Errno {
	errno := hostsock.SendTo(f.fd, b, host, ctrl)
	if errno == 0 || errno == unix.EAGAIN {
		return errno
	}
	if !f.drainErrors() {
		return errno
	}
	if errno != unix.EMSGSIZE {
		// It was the error of an earlier datagram, which has been told.
		return hostsock.SendTo(f.fd, b, host, ctrl)
	}
	// The guest has been told the path's MTU and will heed it. Whether its
	// program discovers MTUs or just sent more than the path takes cannot be
	// seen from here, so this one is not lost either.
	setDF(f.fd, false)
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
		f.drainErrors()
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
	for n := range udpTurn {
		size, peer, errno := hostsock.RecvFrom(f.fd, b[:])
		switch {
		case errno == unix.EAGAIN:
			return n
		case errno != 0:
			if !f.drainErrors() {
				return n
			}
			continue
		}
		src := netip.AddrPortFrom(f.udp.cfg.Policy.GuestView(peer.Addr()), peer.Port())
		f.udp.cfg.Sender.UDP(src, f.guest, b[:size], datagram.Meta{})
	}
	f.udp.cfg.Worker.Schedule(&f.task)
	return udpTurn
}

// buffers are what datagrams are received into.
var buffers = sync.Pool{New: func() any { return new([hostsock.MaxDatagram]byte) }}

// drainErrors tells the guest of what is in the error queue. It reports
// whether there was anything.
func (f *udpFlow) drainErrors() bool {
	var b [datagram.QuoteMax]byte
	any := false
	for {
		e, errno := hostsock.RecvErr(f.fd, b[:])
		if errno != 0 {
			return any
		}
		any = true
		f.tell(e)
	}
}

// tell passes on an error that the host's socket has queued.
func (f *udpFlow) tell(e hostsock.Error) {
	p := f.udp.cfg.Policy
	m, ok := p.icmpError(e)
	if !ok || !e.Dst.IsValid() {
		return
	}
	dst := netip.AddrPortFrom(p.GuestView(e.Dst.Addr()), e.Dst.Port())
	f.udp.cfg.Sender.Error(m, quoteUDP(f.guest, dst, e.Payload))
}

// Len is the number of flows.
func (u *UDP) Len() int { return u.table.Len() }

// Close ends all flows.
func (u *UDP) Close() { u.table.Close() }
