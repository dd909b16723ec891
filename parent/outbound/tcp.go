package outbound

import (
	"container/list"
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
)

// maxConnecting bounds the connections that wait for the host's connect(2) or
// for the guest's part of the handshake. The oldest one that waits for the
// host makes room for a new one, so black holes starve nobody.
const maxConnecting = 4096

// TCP carries the guest's connections.
type TCP struct {
	cfg   TCPConfig
	proto stack.TransportProtocol
	fwd   *tcp.Forwarder

	mu         sync.Mutex
	connecting map[stack.TransportEndpointID]*flow // guarded by mu
	oldest     *list.List                          // guarded by mu; of *flow that wait for the host
	flows      map[*flow]struct{}                  // guarded by mu; established
	closed     bool                                // guarded by mu
}

// TCPConfig is what TCP works with.
type TCPConfig struct {
	Stack  *stack.Stack
	Policy *Policy
	Source *Source
	Poller *poll.Poller
	Worker *poll.Worker
	Sender *datagram.Sender
	// Resolver is where a query to the nameserver goes. It reports false
	// when there is none.
	Resolver func() (netip.AddrPort, bool)
}

// NewTCP takes over all TCP of the stack that has no endpoint.
func NewTCP(cfg TCPConfig) *TCP {
	t := &TCP{
		cfg:        cfg,
		proto:      cfg.Stack.TransportProtocolInstance(tcp.ProtocolNumber),
		connecting: make(map[stack.TransportEndpointID]*flow),
		oldest:     list.New(),
		flows:      make(map[*flow]struct{}),
	}
	t.fwd = tcp.NewForwarder(cfg.Stack, 0, 2*maxConnecting, t.handshake)
	cfg.Stack.SetTransportProtocolHandler(tcp.ProtocolNumber, t.handlePacket)
	return t
}

// handlePacket takes a segment that belongs to no endpoint. It runs on the
// link's goroutine. A false result makes netstack answer with RST.
func (t *TCP) handlePacket(id stack.TransportEndpointID, pkt *stack.PacketBuffer) bool {
	flags := header.TCP(pkt.TransportHeader().Slice()).Flags()
	if flags&(header.TCPFlagSyn|header.TCPFlagAck|header.TCPFlagRst) != header.TCPFlagSyn {
		return false
	}
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return true
	}
	if _, ok := t.connecting[id]; ok || len(t.connecting) >= 2*maxConnecting {
		t.mu.Unlock()
		return true // a retransmission, or a flood: it will come again
	}
	t.mu.Unlock()

	dst := guestAddrPort(id.LocalAddress, id.LocalPort)
	host, v := t.cfg.Policy.Route(dst)
	if v == Relay {
		var ok bool
		if host, ok = t.cfg.Resolver(); ok {
			v = Allow
		}
	}
	if v != Allow {
		t.unreachable(pkt, datagram.CodeNetUnreachable)
		return true
	}
	f, errno := t.dial(id, host)
	if errno != 0 {
		t.refuse(id, pkt, errno)
		return true
	}
	f.syn = pkt.IncRef()
	t.enter(f)
	return true
}

// guestAddrPort converts netstack's view of an address.
func guestAddrPort(a tcpip.Address, port uint16) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(a.AsSlice())
	return netip.AddrPortFrom(addr, port)
}

// dial starts the connection to host.
func (t *TCP) dial(id stack.TransportEndpointID, host netip.AddrPort) (*flow, unix.Errno) {
	fd, err := unix.Socket(hostsock.Family(host.Addr()), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, errnoOf(err)
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	// Urgent data stays where it was in the stream.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_OOBINLINE, 1)
	if err := t.cfg.Source.bind(fd, host.Addr()); err != nil {
		unix.Close(fd)
		return nil, errnoOf(err)
	}
	sa := hostsock.Sockaddr(host)
	err = unix.Connect(fd, sa)
	if err == unix.EINPROGRESS {
		// On the loopback interface the answer has come by now, and the
		// second call fetches it; it does not start anything.
		err = unix.Connect(fd, sa)
	}
	switch err {
	case nil:
		return newFlow(t, id, fd, handshaking), 0
	case unix.EALREADY, unix.EINPROGRESS:
		return newFlow(t, id, fd, connecting), 0
	}
	unix.Close(fd)
	return nil, errnoOf(err)
}

// enter puts a flow into the table and lets it go on.
func (t *TCP) enter(f *flow) {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		f.syn.DecRef()
		unix.Close(f.fd)
		return
	}
	t.connecting[f.id] = f
	var victim *flow
	waits := f.phase.Load() == connecting
	if waits {
		f.element = t.oldest.PushBack(f)
		if t.oldest.Len() > maxConnecting {
			victim = t.oldest.Front().Value.(*flow)
			t.leaveLocked(victim)
		}
	}
	t.mu.Unlock()
	if victim != nil {
		victim.abandon()
	}
	token, err := t.cfg.Poller.Add(f.fd, poll.In|poll.Out|poll.RdHUp, f)
	if err != nil {
		if t.leave(f) {
			t.refuse(f.id, f.syn, errnoOf(err))
			f.abandon()
		}
		return
	}
	f.setToken(token)
	if !waits {
		t.answer(f)
	}
}

// leave takes a flow that waits out of the table. It reports false if somebody
// else did.
func (t *TCP) leave(f *flow) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.leaveLocked(f)
}

func (t *TCP) leaveLocked(f *flow) bool {
	if t.connecting[f.id] != f {
		return false
	}
	delete(t.connecting, f.id)
	if f.element != nil {
		t.oldest.Remove(f.element)
		f.element = nil
	}
	return true
}

// connected continues a flow whose connect(2) has ended.
func (t *TCP) connected(f *flow) {
	v, err := unix.GetsockoptInt(f.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	errno := unix.Errno(v)
	if err != nil {
		errno = errnoOf(err)
	}
	if errno != 0 {
		if t.leave(f) {
			t.refuse(f.id, f.syn, errno)
			f.abandon()
		}
		return
	}
	t.mu.Lock()
	if t.connecting[f.id] != f {
		t.mu.Unlock()
		return // it has just made room for another one
	}
	// From here on the guest's handshake bounds how long it waits.
	t.oldest.Remove(f.element)
	f.element = nil
	t.mu.Unlock()
	t.answer(f)
}

// answer lets netstack answer the SYN: it calls handshake on a goroutine.
func (t *TCP) answer(f *flow) {
	f.phase.Store(handshaking)
	syn := f.syn
	f.syn = nil
	if !t.fwd.HandlePacket(f.id, syn) {
		// Not a SYN that netstack would take: a checksum or an option.
		if t.leave(f) {
			f.abandon()
		}
	}
	syn.DecRef()
}

// handshake finishes the guest's side.
func (t *TCP) handshake(r *tcp.ForwarderRequest) {
	id := r.ID()
	t.mu.Lock()
	f := t.connecting[id]
	t.mu.Unlock()
	if f == nil {
		r.Complete(true)
		return
	}
	ep, err := r.CreateEndpoint(&f.queue)
	r.Complete(false)
	t.mu.Lock()
	t.leaveLocked(f)
	closed := t.closed
	if err == nil && !closed {
		f.ep = ep // Close may reset it from now on
		t.flows[f] = struct{}{}
	}
	t.mu.Unlock()
	if err != nil {
		f.abandon() // the guest has reset it, or is gone
		return
	}
	if closed {
		ep.Abort()
		ep.Close()
		f.abandon()
		return
	}
	f.establish()
}

// forget drops an ended flow from the table.
func (t *TCP) forget(f *flow) {
	t.mu.Lock()
	delete(t.flows, f)
	t.mu.Unlock()
}

// refuse tells the guest why there is no connection.
func (t *TCP) refuse(id stack.TransportEndpointID, syn *stack.PacketBuffer, errno unix.Errno) {
	if errno == unix.ECONNREFUSED {
		t.proto.HandleUnknownDestinationPacket(id, syn)
		return
	}
	if code, ok := icmpCode(errno); ok {
		t.unreachable(syn, code)
	}
}

// unreachable sends a destination-unreachable message about a SYN.
func (t *TCP) unreachable(syn *stack.PacketBuffer, code uint8) {
	v := syn.ToView()
	defer v.Release()
	t.cfg.Sender.Error(datagram.ICMPError{
		Type: datagram.TypeUnreachable, Code: code, Offender: t.cfg.Policy.Gateway,
	}, v.AsSlice())
}

// Close resets all connections.
func (t *TCP) Close() {
	t.mu.Lock()
	t.closed = true
	waiting := make([]*flow, 0, len(t.connecting))
	for _, f := range t.connecting {
		if f.phase.Load() == connecting {
			waiting = append(waiting, f)
			t.leaveLocked(f)
		}
	}
	flows := make([]*flow, 0, len(t.flows))
	for f := range t.flows {
		flows = append(flows, f)
	}
	t.mu.Unlock()
	for _, f := range waiting {
		f.abandon()
	}
	for _, f := range flows {
		f.reset()
	}
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
