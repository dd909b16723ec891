package outbound

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/flowtable"
	"github.com/slirp4netns-go/slirp4netns/parent/link"
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
// sockets (SOCK_DGRAM, IPPROTO_ICMP or IPPROTO_ICMPV6; icmp(7)), or raw ones where those are not
// allowed (net.ipv4.ping_group_range) but CAP_NET_RAW is there.
type Echo struct {
	cfg   EchoConfig
	dgram dgramConfig
	table *flowtable.Table[pingKey, *pingFlow]

	mu  sync.Mutex
	raw map[uint16]struct{} // guarded by mu; identifiers of raw sockets
}

// EchoConfig is what Echo works with.
type EchoConfig struct {
	Policy *Policy
	Source Sources
	Poller *poll.Poller
	Worker *poll.Worker
	Sender *datagram.Sender
	Max    int // flows at most; 0: 512
}

// NewEcho makes the table.
func NewEcho(cfg EchoConfig) *Echo {
	if cfg.Max == 0 {
		cfg.Max = maxPings
	}
	return &Echo{
		cfg:   cfg,
		dgram: dgramConfig{cfg.Policy, cfg.Source, cfg.Poller, cfg.Worker, cfg.Sender},
		table: flowtable.New[pingKey](cfg.Max, (*pingFlow).close),
		raw:   make(map[uint16]struct{}),
	}
}

// pingKey is one identifier of one guest address.
type pingKey struct {
	guest netip.Addr
	id    uint16
}

// ping sends the guest's request msg, which is that of packet p, to host.
func (e *Echo) ping(host netip.Addr, msg []byte, p link.Packet) unix.Errno {
	key := pingKey{guest: p.Src(), id: binary.BigEndian.Uint16(msg[4:])}
	pin := e.cfg.Source.of(host).pin(host)
	f, ok := e.table.Get(key)
	if !ok || f.pin != pin {
		var errno unix.Errno
		if f, errno = e.open(key, pin); errno != 0 {
			return errno
		}
		e.table.Put(key, f, pingIdle)
	}
	return f.send(msg, host, p)
}

// open makes the socket of a new flow.
func (e *Echo) open(key pingKey, pin pin) (*pingFlow, unix.Errno) {
	f := &pingFlow{echo: e, key: key, icmp: icmpOf(key.guest), pin: pin}
	fd, err := unix.Socket(f.icmp.family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, f.icmp.proto)
	if err == unix.EACCES || err == unix.EPROTONOSUPPORT || err == unix.EAFNOSUPPORT {
		// Without permission for this either, what counts is the first error.
		if rawFD, id, rawErr := e.openRaw(f.icmp); rawErr == nil {
			f.raw, f.id = true, id
			fd, err = rawFD, nil
		}
	}
	if err != nil {
		return nil, errnoOf(err)
	}
	if err := pin.bind(fd); err != nil {
		unix.Close(fd)
		e.releaseRaw(f)
		return nil, errnoOf(err)
	}
	opts := sockoptsOf(key.guest)
	opts.set(fd, opts.recvTTL, 1)
	if err := f.dgram.open(&e.dgram, f, fd, opts); err != nil {
		e.releaseRaw(f)
		return nil, errnoOf(err)
	}
	return f, 0
}

// Len is the number of flows.
func (e *Echo) Len() int { return e.table.Len() }

// Close ends all flows.
func (e *Echo) Close() { e.table.Close() }
