package outbound

import (
	"net/netip"
	"slices"
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
	// maxUDPFlows bounds the table: a port scan uses up no more sockets, and
	// leaves two thirds of the host's ephemeral ports to others.
	maxUDPFlows = 8192
)

// UDP carries the guest's datagrams.
type UDP struct {
	cfg   UDPConfig
	dgram dgramConfig
	table *flowtable.Table[udpKey, *udpFlow]
	batch batch // link's goroutine only
}

// udpKey is one address and port of the guest.
type udpKey struct {
	guest netip.AddrPort
	pin   pin
}

// UDPConfig is what UDP works with.
type UDPConfig struct {
	Policy *Policy
	Source Sources
	Poller *poll.Poller
	Worker *poll.Worker
	Sender *datagram.Sender
	// Relay takes DNS queries to the nameserver.
	Relay func(src, dst netip.AddrPort, payload []byte)
	// Forwarded sends a datagram, or several of segSize bytes each if that
	// is not 0, from a forwarded port that leads to src. It reports false if
	// there is none that host is reached from.
	Forwarded func(src, host netip.AddrPort, payload []byte, segSize int) bool
	Max       int // flows at most; 0: 8192
}

// NewUDP makes the table.
func NewUDP(cfg UDPConfig) *UDP {
	if cfg.Max == 0 {
		cfg.Max = maxUDPFlows
	}
	hostsock.Segments() // asks the kernel now
	return &UDP{cfg: cfg, dgram: dgramConfig{cfg.Policy, cfg.Source, cfg.Poller, cfg.Worker, cfg.Sender}, table: flowtable.New[udpKey](cfg.Max, (*udpFlow).close)}
}

// Handle takes a datagram of the guest. p is not a fragment. It runs on the
// link's goroutine.
func (u *UDP) Handle(p link.Packet) {
	udp := header.UDP(p.Bytes[p.HdrLen:])
	if len(udp) < header.UDPMinimumSize || int(udp.Length()) < header.UDPMinimumSize || int(udp.Length()) > len(udp) {
		u.cfg.Policy.Drops.Add(DropMalformed)
		return
	}
	src := netip.AddrPortFrom(p.Src(), udp.SourcePort())
	dst := netip.AddrPortFrom(p.Dst(), udp.DestinationPort())
	payload := udp[header.UDPMinimumSize:udp.Length()]
	if expires(p.TTL(), u.cfg.Policy.near(dst.Addr())) {
		u.cfg.Policy.Drops.Add(DropExpired)
		u.cfg.Sender.Error(u.cfg.Policy.timeExceeded(p.Bytes), p.Bytes)
		return
	}
	host, v := u.cfg.Policy.Route(dst)
	switch v {
	case Relay:
		if p.SegSize == 0 || p.SegSize >= len(payload) {
			u.cfg.Relay(src, dst, payload)
			return
		}
		for query := range slices.Chunk(payload, p.SegSize) {
			u.cfg.Relay(src, dst, query)
		}
		return
	case Unreachable:
		u.unreachable(unix.ENETUNREACH, p.Bytes)
		return
	}
	if u.cfg.Forwarded(src, host, payload, p.SegSize) {
		return
	}
	key := udpKey{src, u.cfg.Source.of(host.Addr()).pinLink(host.Addr())}
	f, ok := u.table.Get(key)
	if !ok {
		var errno unix.Errno
		if f, errno = u.open(key); errno != 0 {
			u.unreachable(errno, p.Bytes)
			return
		}
		u.table.Put(key, f, udpIdle)
	}
	if p.More && u.gather(f, payload, host, p) {
		return
	}
	u.Flush() // these were before it
	if errno := f.send(payload, p.SegSize, host, hopOf(p, host.Addr()), p.Bytes); errno != 0 {
		u.unreachable(errno, p.Bytes)
	}
}

func (u *UDP) unreachable(errno unix.Errno, packet []byte) {
	if code, ok := icmpCode(errno); ok {
		u.cfg.Sender.Error(u.cfg.Policy.unreachable(code, packet), packet)
	}
}

// Len is the number of flows.
func (u *UDP) Len() int { return u.table.Len() }

// Close ends all flows.
func (u *UDP) Close() { u.table.Close() }
