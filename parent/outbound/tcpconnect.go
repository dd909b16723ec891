package outbound

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
	"github.com/slirp4netns-go/slirp4netns/parent/splice"
)

// pending reports whether a SYN needs no new connection: there is one already,
// or no room.
func (t *TCP) pending(id stack.TransportEndpointID, pkt *stack.PacketBuffer) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return true
	}
	if f, ok := t.connecting[id]; ok {
		if f.waits == t.dialling {
			// A retransmission, or a later attempt from the same port:
			// the last one is what will be answered.
			f.syn.DecRef()
			f.syn = retain(pkt)
			f.isn = sequenceNumber(pkt)
		} else if sequenceNumber(pkt) != f.isn {
			// A later attempt, while netstack has just ended this one
			// (RST), and handshake does not know yet.
			f.dropNextLocked()
			f.next = retain(pkt)
		}
		return true
	}
	// The lists are shorter; what makes up the difference is about to leave.
	if len(t.connecting) >= 3*t.waiting {
		t.cfg.Policy.Drops.Add(DropFull)
		return true
	}
	return false
}

// full tells whether there is no room for another established connection.
func (t *TCP) full() bool {
	others := 0
	if t.cfg.Others != nil {
		others = t.cfg.Others()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.flows)+others >= max(1, t.cfg.Max-2*t.waiting)
}

// dial starts the connection to host, and tells why not if there is no flow.
func (t *TCP) dial(id stack.TransportEndpointID, host netip.AddrPort) (*flow, hostsock.Error) {
	fd, err := unix.Socket(hostsock.Family(host.Addr()), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, hostsock.Error{Errno: errnoOf(err)}
	}
	_ = hostsock.SetStreamOptions(fd)
	tellErrors(fd, host.Addr(), true)
	if err := t.cfg.Source.Bind(fd, host.Addr()); err != nil {
		unix.Close(fd)
		return nil, hostsock.Error{Errno: errnoOf(err)}
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
		if connectedToItself(fd) {
			splice.AbortOnClose(fd)
			unix.Close(fd)
			return nil, hostsock.Error{Errno: unix.ECONNREFUSED}
		}
		tellErrors(fd, host.Addr(), false)
		return newFlow(t, id, fd, handshaking), hostsock.Error{}
	case unix.EALREADY, unix.EINPROGRESS:
		return newFlow(t, id, fd, connecting), hostsock.Error{}
	}
	why, ok := queuedError(fd)
	if !ok {
		why = hostsock.Error{Errno: errnoOf(err)}
	}
	unix.Close(fd)
	return nil, why
}

// enter puts a flow into the table and lets it go on.
func (t *TCP) enter(f *flow) {
	t.mu.Lock()
	if t.closed || t.connecting[f.id] != nil {
		// Since pending looked, retry has begun with another SYN of the
		// same connection, or the link's goroutine has.
		t.mu.Unlock()
		f.abandon()
		return
	}
	t.connecting[f.id] = f
	t.total++
	dialling := f.phase.Load() == connecting
	var victim *flow
	if dialling {
		if victim = f.waitLocked(t.dialling); victim != nil {
			t.leaveLocked(victim)
		}
	}
	t.mu.Unlock()
	if victim != nil {
		victim.abandon()
	}
	if err := f.Watch(f); err != nil {
		if t.leave(f) {
			t.refuse(f.id, f.syn, hostsock.Error{Errno: errnoOf(err)})
			f.abandon()
			t.retry(f)
		}
		return
	}
	if !dialling {
		t.answer(f)
	}
}

// leave takes a flow out of the table of those that are not established. It
// reports false if somebody else did, who then has to end it.
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
	f.unwaitLocked()
	return true
}

// connected continues a flow whose connect(2) has ended, if it has: an event
// may come before, and says nothing then.
func (t *TCP) connected(f *flow, events uint32) {
	t.mu.Lock()
	if f.waits != t.dialling {
		t.mu.Unlock()
		return // it has just made room for another one
	}
	result := connectResult(f.FD(), events)
	if result.Errno == unix.EALREADY {
		t.mu.Unlock()
		return
	}
	f.unwaitLocked()
	t.mu.Unlock()
	if result.Errno == 0 {
		a, _ := netip.AddrFromSlice(f.id.LocalAddress.AsSlice())
		tellErrors(f.FD(), a, false)
		if connectedToItself(f.FD()) {
			result.Errno = unix.ECONNREFUSED
		}
	}
	t.settle(f, result)
}

// take takes a flow out of those that wait for the host. From then on nobody
// else ends it, and its socket may be used. It reports false when the flow has
// just made room for another one.
func (t *TCP) take(f *flow) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.waits != t.dialling {
		return false
	}
	f.unwaitLocked()
	return true
}

// settle answers the SYN of a flow that was taken, in the light of what came
// of the host's side.
func (t *TCP) settle(f *flow, result hostsock.Error) {
	if result.Errno == 0 {
		t.answer(f)
		return
	}
	if t.leave(f) {
		t.refuse(f.id, f.syn, result)
		f.abandon()
		t.retry(f)
	}
}

// answer lets netstack answer the SYN: it calls handshake on a goroutine.
func (t *TCP) answer(f *flow) {
	f.phase.Store(handshaking)
	t.mu.Lock()
	victim := f.waitLocked(t.answered)
	t.mu.Unlock()
	if victim != nil {
		t.giveUp(victim)
	}
	syn := f.syn
	f.syn = nil
	if !t.fwd.HandlePacket(f.id, syn) {
		// Not a SYN that netstack would take: a checksum or an option.
		if t.leave(f) {
			f.abandon()
			t.retry(f)
		}
	}
	syn.DecRef()
}

// giveUpAgain is when giveUp looks again for a handshake that it did not find.
const giveUpAgain = 10 * time.Millisecond

// giveUp makes a handshake that the guest does not finish end now. The
// goroutine that waits for it does the rest. One that has not begun does not
// begin; one that is just beginning cannot be found yet.
func (t *TCP) giveUp(f *flow) {
	f.unwanted.Store(true)
	t.mu.Lock()
	waits := t.connecting[f.id] == f
	t.mu.Unlock()
	if !waits {
		return // it has ended, or the guest has just finished it
	}
	ep := t.cfg.Stack.FindTransportEndpoint(f.net, tcp.ProtocolNumber, f.id, f.nic)
	if ep, ok := ep.(*tcp.Endpoint); ok && tcp.EndpointState(ep.State()) == tcp.StateSynRecv {
		ep.Abort()
		return
	}
	time.AfterFunc(giveUpAgain, func() { t.giveUp(f) })
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
	if f.unwanted.Load() {
		r.Complete(true)
		if t.leave(f) {
			f.abandon()
		}
		t.retry(f)
		return
	}
	ep, err := r.CreateEndpoint(f.Queue())
	r.Complete(false)
	t.mu.Lock()
	t.leaveLocked(f)
	closed := t.closed
	if err == nil && !closed {
		t.flows[f] = struct{}{} // Close may reset it from now on
	}
	t.mu.Unlock()
	if err != nil {
		f.abandon() // the guest has reset it, or is gone
		t.retry(f)
		return
	}
	t.mu.Lock()
	f.dropNextLocked()
	t.mu.Unlock()
	if closed {
		ep.Abort()
		ep.Close()
		f.abandon()
		return
	}
	f.Start(ep)
}

// retry begins with the attempt that came when f had ended and was still in the
// table, if there was one.
func (t *TCP) retry(f *flow) {
	t.mu.Lock()
	next := f.next
	f.next = nil
	t.mu.Unlock()
	if next != nil {
		t.handlePacket(f.id, next)
		next.DecRef()
	}
}
