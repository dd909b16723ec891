package outbound

import (
	"container/list"
	"context"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
	"github.com/slirp4netns-go/slirp4netns/parent/splice"
)

const (
	// maxConnecting bounds the connections that wait for the host's
	// connect(2), and again those that wait for the guest's part of the
	// handshake. The oldest one that waits makes room for a new one, so
	// neither black holes nor a flood of SYNs starve anybody.
	maxConnecting = 4096
	// waitingShare is the part of all connections that they have each, if
	// that is less. What is left is for established ones, which make room
	// for nobody: their end is up to those who use them.
	waitingShare = 8
)

// TCP carries the guest's connections.
type TCP struct {
	cfg    TCPConfig
	splice splice.Config
	proto  stack.TransportProtocol
	fwd    *tcp.Forwarder
	// waiting is how many may wait for the host, and again for the guest.
	waiting int

	mu         sync.Mutex
	connecting map[stack.TransportEndpointID]*flow // guarded by mu
	dialling   *list.List                          // guarded by mu; of *flow that wait for the host, oldest first
	answered   *list.List                          // guarded by mu; of *flow that wait for the guest, oldest first
	flows      map[*flow]struct{}                  // guarded by mu; established
	closed     bool                                // guarded by mu
	total      uint64                              // guarded by mu; connections that were begun
}

// TCPConfig is what TCP works with.
type TCPConfig struct {
	Stack  *stack.Stack
	Policy *Policy
	Source Sources
	Poller *poll.Poller
	Worker *poll.Worker
	Sender *datagram.Sender
	// Nameserver makes a connection to the nameserver: a stream socket that
	// does not block. Unless dial is nil it is connected when dial, which
	// blocks until then or until its context ends, has returned 0.
	Nameserver func() (fd int, dial Dial, errno unix.Errno)
	Max        int        // connections at most
	Others     func() int // connections of others that count, too; may be nil
	Memory     *splice.Memory
	Times      *splice.Times // nil: splice.DefaultTimes
}

// Dial makes a connection, and blocks meanwhile.
type Dial = func(context.Context) unix.Errno

// NewTCP takes over all TCP of the stack that has no endpoint.
func NewTCP(cfg TCPConfig) *TCP {
	t := &TCP{
		cfg:        cfg,
		splice:     splice.Config{Poller: cfg.Poller, Worker: cfg.Worker, Orphans: splice.NewOrphans(splice.MaxOrphans), Memory: cfg.Memory, Times: cfg.Times},
		proto:      cfg.Stack.TransportProtocolInstance(tcp.ProtocolNumber),
		connecting: make(map[stack.TransportEndpointID]*flow),
		dialling:   list.New(),
		answered:   list.New(),
		flows:      make(map[*flow]struct{}),
		waiting:    max(1, min(cfg.Max/waitingShare, maxConnecting)),
	}
	// More than pending lets in, or a SYN could be swallowed with its flow.
	t.fwd = tcp.NewForwarder(cfg.Stack, splice.LeastToHost, 4*t.waiting, t.handshake)
	cfg.Stack.SetTransportProtocolHandler(tcp.ProtocolNumber, t.handlePacket)
	return t
}

// handlePacket takes a segment that belongs to no endpoint. It runs on the
// link's goroutine, and for retry on another one. A false result makes netstack answer with RST.
func (t *TCP) handlePacket(id stack.TransportEndpointID, pkt *stack.PacketBuffer) bool {
	hdr := header.TCP(pkt.TransportHeader().Slice())
	if n := int(hdr.DataOffset()); n < header.TCPMinimumSize || n > len(hdr) {
		t.cfg.Policy.Drops.Add(DropMalformed)
		return true // netstack would find that out after connect(2)
	}
	switch hdr.Flags() & (header.TCPFlagSyn | header.TCPFlagFin | header.TCPFlagAck | header.TCPFlagRst) {
	case header.TCPFlagSyn:
	case header.TCPFlagSyn | header.TCPFlagFin:
		t.cfg.Policy.Drops.Add(DropMalformed)
		return true // nonsense, which Linux drops too
	default:
		return false
	}
	if t.pending(id, pkt) {
		return true
	}
	dst := guestAddrPort(id.LocalAddress, id.LocalPort)
	host, v := t.cfg.Policy.Route(dst)
	if v == Unreachable {
		t.unreachable(pkt, datagram.CodeNetUnreachable)
		return true
	}
	var f *flow
	var dial Dial
	var why hostsock.Error
	if t.full() {
		t.cfg.Policy.Drops.Add(DropFull)
		why.Errno = unix.EMFILE
	} else if v == Relay {
		f, dial, why.Errno = t.dialNameserver(id)
	} else {
		f, why = t.dial(id, host)
	}
	if why.Errno != 0 {
		t.refuse(id, pkt, why)
		return true
	}
	f.syn, f.isn = retain(pkt), sequenceNumber(pkt)
	f.nic, f.net = pkt.NICID, pkt.NetworkProtocolNumber
	t.enter(f)
	if dial != nil {
		go t.awaitNameserver(f, dial)
	}
	return true
}

// guestAddrPort converts netstack's view of an address.
func guestAddrPort(a tcpip.Address, port uint16) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(a.AsSlice())
	return netip.AddrPortFrom(addr, port)
}

// forget drops an ended flow from the table.
func (t *TCP) forget(f *flow) {
	t.mu.Lock()
	delete(t.flows, f)
	t.mu.Unlock()
}

// refuse tells the guest why there is no connection: what a router or the peer's
// host said, as it said it, or what the host's own errno comes to.
func (t *TCP) refuse(id stack.TransportEndpointID, syn *stack.PacketBuffer, why hostsock.Error) {
	if why.Offender.IsValid() {
		why.Dst = guestAddrPort(id.LocalAddress, id.LocalPort)
		if m, ok := t.cfg.Policy.icmpError(why); ok {
			t.tell(syn, m)
			return
		}
	}
	switch why.Errno {
	case unix.ECONNREFUSED, unix.ECONNRESET, unix.ECONNABORTED, unix.EPIPE:
		t.proto.HandleUnknownDestinationPacket(id, syn)
		return
	}
	if code, ok := icmpCode(why.Errno); ok {
		t.unreachable(syn, code)
	}
}

// unreachable sends a destination-unreachable message about a SYN.
func (t *TCP) unreachable(syn *stack.PacketBuffer, code uint8) {
	t.tell(syn, t.cfg.Policy.unreachable(code, syn.NetworkHeader().Slice()))
}

// tell sends an error message about a SYN.
func (t *TCP) tell(syn *stack.PacketBuffer, m datagram.ICMPError) {
	v := syn.ToView()
	defer v.Release()
	t.cfg.Sender.Error(m, v.AsSlice())
}

// Close resets all connections.
func (t *TCP) Close() {
	t.mu.Lock()
	t.closed = true
	var dialling, answered []*flow
	for el := t.dialling.Front(); el != nil; el = t.dialling.Front() {
		f := el.Value.(*flow)
		dialling = append(dialling, f)
		t.leaveLocked(f)
		f.unwaitLocked() // or there would be no end of it
	}
	for el := t.answered.Front(); el != nil; el = el.Next() {
		answered = append(answered, el.Value.(*flow))
	}
	flows := make([]*flow, 0, len(t.flows))
	for f := range t.flows {
		flows = append(flows, f)
	}
	t.mu.Unlock()
	for _, f := range dialling {
		f.abandon()
	}
	for _, f := range answered {
		t.giveUp(f)
	}
	for _, f := range flows {
		f.Reset()
	}
	t.splice.Orphans.Close()
}

// errnoOf finds the errno in an error.
func errnoOf(err error) unix.Errno {
	for err != nil {
		if e, ok := err.(unix.Errno); ok {
			return e
		}
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			break
		}
		err = u.Unwrap()
	}
	return unix.EIO
}

// Len is the number of connections, those that are being made included.
func (t *TCP) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.flows) + len(t.connecting)
}

// Orphans is the number of connections whose host side is closed, and whose
// guest has not taken all of it.
func (t *TCP) Orphans() int { return t.splice.Orphans.Len() }
