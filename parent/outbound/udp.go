package outbound

import (
	"encoding/binary"
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
	Source Source
	Poller *poll.Poller
	Worker *poll.Worker
	Sender *datagram.Sender
	// Relay takes DNS queries to the nameserver.
	Relay func(src, dst netip.AddrPort, payload []byte)
}

// NewUDP makes the table.
func NewUDP(cfg UDPConfig) *UDP {
	return &UDP{cfg: cfg, table: flowtable.New[netip.AddrPort](maxUDPFlows, (*udpFlow).close)}
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
	ttl   uint8       // what the socket is set to; link's goroutine only
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
	ttl := ip.TTL()
	if ttl <= 1 {
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
	// The datagram has made one hop.
	if errno := f.send(payload, host, ttl-1, p.SegSize); errno != 0 {
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
	f := &udpFlow{udp: u, guest: guest, fd: fd}
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
func (f *udpFlow) send(payload []byte, host netip.AddrPort, ttl uint8, segSize int) unix.Errno {
	f.life.RLock()
	defer f.life.RUnlock()
	if f.closed {
		return 0 // lost, as datagrams may be
	}
	if ttl != f.ttl {
		if err := unix.SetsockoptInt(f.fd, unix.IPPROTO_IP, unix.IP_TTL, int(ttl)); err == nil {
			f.ttl = ttl
		}
	}
	f.dns.Store(host.Port() == DNSPort)
	var ctrl []byte
	if s := f.udp.cfg.Source; s.isSet() && !IsHostLoopback(host.Addr()) {
		ctrl = s.pktinfo(host.Addr())
	}
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
	if errno != 0 && f.drainErrors() {
		// It was the error of an earlier datagram, which has been told.
		errno = hostsock.SendTo(f.fd, b, host, ctrl)
	}
	return errno
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
		f.udp.table.Touch(f.guest, udpIdleDNS)
	} else {
		f.udp.table.Touch(f.guest, udpIdle)
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

// tell passes on an error that came over the network. Errors that the host's
// own stack found are the result of the send itself.
func (f *udpFlow) tell(e hostsock.Error) {
	if e.Origin != unix.SO_EE_ORIGIN_ICMP || !e.Dst.IsValid() {
		return
	}
	p := f.udp.cfg.Policy
	dst := netip.AddrPortFrom(p.GuestView(e.Dst.Addr()), e.Dst.Port())
	icmp := datagram.ICMPError{Type: e.Type, Code: e.Code, Offender: p.Gateway}
	if e.Offender.IsValid() {
		icmp.Offender = p.GuestView(e.Offender)
	}
	if e.Errno == unix.EMSGSIZE {
		icmp.MTU = uint16(min(e.Info, 0xffff))
	}
	f.udp.cfg.Sender.Error(icmp, quoteUDP(f.guest, dst, e.Payload))
}

// quoteUDP builds the beginning of the packet that the guest sent, for an ICMP
// error about it.
func quoteUDP(src, dst netip.AddrPort, payload []byte) []byte {
	const l3, l4 = header.IPv4MinimumSize, header.UDPMinimumSize
	b := make([]byte, l3+l4, l3+l4+len(payload))
	size := l4 + len(payload)
	b[0] = 0x45
	binary.BigEndian.PutUint16(b[2:], uint16(l3+size))
	b[8], b[9] = 64, uint8(header.UDPProtocolNumber)
	s, d := src.Addr().As4(), dst.Addr().As4()
	copy(b[12:], s[:])
	copy(b[16:], d[:])
	ip := header.IPv4(b)
	ip.SetChecksum(^ip.CalculateChecksum())
	header.UDP(b[l3:]).Encode(&header.UDPFields{SrcPort: src.Port(), DstPort: dst.Port(), Length: uint16(size)})
	return append(b, payload...)
}

// Len is the number of flows.
func (u *UDP) Len() int { return u.table.Len() }

// Close ends all flows.
func (u *UDP) Close() { u.table.Close() }
