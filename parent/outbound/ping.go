package outbound

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/flowtable"
	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

const (
	// pingIdle is how long an identifier's socket lives without a request.
	// RFC 5508, REQ-1 asks for at least 60 s.
	pingIdle = 60 * time.Second
	// maxPings bounds the table.
	maxPings = 512
)

// Echo answers echo requests to our addresses and sends others out over ping
// sockets (SOCK_DGRAM, IPPROTO_ICMP; icmp(7)), or raw ones where those are not
// allowed (net.ipv4.ping_group_range) but CAP_NET_RAW is there.
type Echo struct {
	cfg   EchoConfig
	table *flowtable.Table[pingKey, *pingFlow]
}

// EchoConfig is what Echo works with.
type EchoConfig struct {
	Policy *Policy
	Source *Source
	Poller *poll.Poller
	Sender *datagram.Sender
	Max    int // flows at most; 0: 512
}

// NewEcho makes the table.
func NewEcho(cfg EchoConfig) *Echo {
	if cfg.Max == 0 {
		cfg.Max = maxPings
	}
	return &Echo{cfg: cfg, table: flowtable.New[pingKey](cfg.Max, (*pingFlow).close)}
}

// pingKey is one identifier of one guest address.
type pingKey struct {
	guest netip.Addr
	id    uint16
}

// pingFlow is one host socket.
type pingFlow struct {
	echo  *Echo
	key   pingKey
	fd    int
	token poll.Token
	raw   bool
	id    uint16 // the identifier on the host's side of a raw socket
	last  hop    // link's goroutine only

	life   sync.RWMutex // held for reading while fd is used
	closed bool         // guarded by life
}

// ping sends the guest's request to host.
func (e *Echo) ping(guest, host netip.Addr, msg []byte, h hop) unix.Errno {
	key := pingKey{guest: guest, id: binary.BigEndian.Uint16(msg[4:])}
	f, ok := e.table.Get(key)
	if !ok {
		var errno unix.Errno
		if f, errno = e.open(key); errno != 0 {
			return errno
		}
		e.table.Put(key, f, pingIdle)
	}
	return f.send(msg, host, h)
}

func (e *Echo) open(key pingKey) (*pingFlow, unix.Errno) {
	f := &pingFlow{echo: e, key: key, id: key.id}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
	if err == unix.EACCES || err == unix.EPROTONOSUPPORT || err == unix.EAFNOSUPPORT {
		f.raw = true
		var rawErr error
		if fd, rawErr = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP); rawErr == nil {
			err = setICMPFilter(fd)
		}
	}
	if err != nil {
		if fd >= 0 {
			unix.Close(fd)
		}
		return nil, errnoOf(err)
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVERR, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVTTL, 1)
	f.fd = fd
	f.last = socketHop(fd)
	f.life.Lock() // an event may come before the token is stored
	defer f.life.Unlock()
	if f.token, err = e.cfg.Poller.Add(fd, poll.In, f); err != nil {
		unix.Close(fd)
		return nil, errnoOf(err)
	}
	return f, 0
}

// setICMPFilter lets only echo replies through to a raw socket (raw(7)).
func setICMPFilter(fd int) error {
	const icmpFilter = 1 // ICMP_FILTER, linux/icmp.h
	return unix.SetsockoptInt(fd, unix.SOL_RAW, icmpFilter, ^(1 << uint(header.ICMPv4EchoReply)))
}

// close ends the flow. It waits for whoever uses the socket.
func (f *pingFlow) close() {
	f.life.Lock()
	defer f.life.Unlock()
	f.closed = true
	f.echo.cfg.Poller.Remove(f.fd, f.token)
	unix.Close(f.fd)
}

// send sends a request. A ping socket puts in an identifier of its own.
func (f *pingFlow) send(msg []byte, host netip.Addr, h hop) unix.Errno {
	f.life.RLock()
	defer f.life.RUnlock()
	if f.closed {
		return 0
	}
	h.apply(f.fd, &f.last)
	to := netip.AddrPortFrom(host, 0)
	ctrl := f.echo.cfg.Source.control(host)
	errno := hostsock.SendTo(f.fd, msg, to, ctrl)
	if errno != 0 && f.drainErrors() {
		if errno == unix.EMSGSIZE {
			return 0 // the guest has been told the MTU
		}
		errno = hostsock.SendTo(f.fd, msg, to, ctrl)
	}
	return errno
}

// HandleEvents implements poll.Handler: replies go to the guest.
func (f *pingFlow) HandleEvents(events uint32) {
	f.life.RLock()
	defer f.life.RUnlock()
	if f.closed {
		return
	}
	if events&poll.Err != 0 {
		f.drainErrors()
	}
	b := buffers.Get().(*[hostsock.MaxDatagram]byte)
	defer buffers.Put(b)
	for {
		n, peer, ttl, errno := hostsock.RecvTTL(f.fd, b[:])
		if errno == unix.EAGAIN {
			return
		}
		if errno != 0 {
			if !f.drainErrors() {
				return
			}
			continue
		}
		f.reply(b[:n], peer.Addr(), ttl)
	}
}

// reply passes on what a host answered.
func (f *pingFlow) reply(msg []byte, peer netip.Addr, ttl uint8) {
	if f.raw { // with the IP header, and everybody's replies
		if len(msg) < header.IPv4MinimumSize {
			return
		}
		n := int(header.IPv4(msg).HeaderLength())
		if len(msg) < n+header.ICMPv4MinimumSize || binary.BigEndian.Uint16(msg[n+4:]) != f.id {
			return
		}
		msg = msg[n:]
	}
	if len(msg) < header.ICMPv4MinimumSize || header.ICMPv4(msg).Type() != header.ICMPv4EchoReply {
		return
	}
	binary.BigEndian.PutUint16(msg[4:], f.key.id)
	if ttl > 1 {
		ttl-- // we are a hop
	}
	f.echo.table.Answered(f.key, pingIdle)
	f.echo.cfg.Sender.EchoReply(f.echo.cfg.Policy.GuestView(peer), f.key.guest, msg[4:], datagram.Meta{TTL: ttl})
}

// drainErrors tells the guest of what is in the error queue. It reports
// whether there was anything.
func (f *pingFlow) drainErrors() bool {
	var b [datagram.QuoteMax]byte
	any := false
	for {
		e, errno := hostsock.RecvErr(f.fd, b[:])
		if errno != 0 {
			return any
		}
		any = true
		icmp, ok := f.echo.cfg.Policy.icmpError(e)
		if !ok || !e.Dst.IsValid() {
			continue
		}
		f.echo.cfg.Sender.Error(icmp, f.quote(e))
	}
}

// quote builds the beginning of the packet that the guest sent. The error
// queue gives the request as it left the host, header of ICMP included.
func (f *pingFlow) quote(e hostsock.Error) []byte {
	msg := e.Payload
	if f.raw && len(msg) >= header.IPv4MinimumSize {
		msg = msg[min(len(msg), int(header.IPv4(msg).HeaderLength())):]
	}
	msg = append([]byte(nil), msg...)
	if len(msg) >= header.ICMPv4MinimumSize {
		binary.BigEndian.PutUint16(msg[4:], f.key.id)
		msg[2], msg[3] = 0, 0
		binary.BigEndian.PutUint16(msg[2:], ^checksum.Checksum(msg, 0))
	}
	return quotePacket(f.key.guest, f.echo.cfg.Policy.GuestView(e.Dst.Addr()), uint8(header.ICMPv4ProtocolNumber), msg)
}

// Len is the number of flows.
func (e *Echo) Len() int { return e.table.Len() }

// Close ends all flows.
func (e *Echo) Close() { e.table.Close() }
