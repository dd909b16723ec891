package outbound

import (
	"container/list"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// Phases of a flow.
//
//	connecting ──connect(2) done──▶ handshaking ──guest's ACK──▶ established
//	     │                              │                            │
//	     └── refused, evicted ──────────┴── guest gave up            └── both ends
//	                 abandon                                             finish
const (
	connecting int32 = iota
	handshaking
	established
)

// flow is one TCP connection of the guest: an endpoint of netstack towards the
// guest and a socket towards the host.
type flow struct {
	tcp   *TCP
	id    stack.TransportEndpointID
	fd    int
	phase atomic.Int32

	mu    sync.Mutex
	token poll.Token // guarded by mu
	gone  bool       // guarded by mu; fd is closed

	// Until it is established.
	net     tcpip.NetworkProtocolNumber
	nic     tcpip.NICID
	waits   *list.List    // guarded by TCP.mu; TCP.dialling, TCP.answered or nil
	element *list.Element // guarded by TCP.mu; in waits
	// syn is the guest's SYN. It is guarded by TCP.mu while the flow is in
	// TCP.dialling, and its owner's afterwards: who took it out of there.
	syn *stack.PacketBuffer

	// From the handshake on.
	queue waiter.Queue
	entry waiter.Entry
	ep    tcpip.Endpoint

	toHost  half // guest → host
	toGuest half // host → guest
	left    atomic.Int32
	// hostEvents collects what the poller said about the socket's end:
	// hang-ups and errors do not come twice.
	hostEvents atomic.Uint32
	// dead makes both halves end at their next step.
	dead       atomic.Bool
	resetGuest atomic.Bool // the guest shall see RST
	resetHost  atomic.Bool // the host's peer shall see RST

	// task runs what netstack's callback asked for; work says which halves.
	task poll.Task
	work atomic.Uint32
}

// Bits of flow.work.
const (
	workToHost uint32 = 1 << iota
	workToGuest
)

func newFlow(t *TCP, id stack.TransportEndpointID, fd int, phase int32) *flow {
	f := &flow{tcp: t, id: id, fd: fd}
	f.phase.Store(phase)
	f.left.Store(2)
	f.toHost.pump = f.pumpToHost
	f.toGuest.pump = f.pumpToGuest
	f.task.Init(f.doWork)
	return f
}

// watch registers the socket with the poller. The first event may come before
// watch returns, so whoever closes the socket waits for the token.
func (f *flow) watch() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		return nil // it was abandoned meanwhile; its descriptor may be another's
	}
	var err error
	f.token, err = f.tcp.cfg.Poller.Add(f.fd, poll.In|poll.Out|poll.RdHUp, f)
	return err
}

// waitLocked puts f at the end of a list of at most maxConnecting flows. It
// returns the flow that had to leave the list for it. TCP.mu is held.
func (f *flow) waitLocked(l *list.List) (victim *flow) {
	f.waits, f.element = l, l.PushBack(f)
	if l.Len() > maxConnecting {
		victim = l.Front().Value.(*flow)
		victim.unwaitLocked()
	}
	return victim
}

// unwaitLocked takes f out of the list that it is in. TCP.mu is held.
func (f *flow) unwaitLocked() {
	if f.waits != nil {
		f.waits.Remove(f.element)
		f.waits, f.element = nil, nil
	}
}

// closeSocket closes the host's socket and ends its registration.
func (f *flow) closeSocket() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gone = true
	f.tcp.cfg.Poller.Remove(f.fd, f.token)
	unix.Close(f.fd)
}

// abandon ends a flow that never was established. The caller has taken it out
// of the table.
func (f *flow) abandon() {
	if f.syn != nil {
		f.syn.DecRef()
		f.syn = nil
	}
	setLinger(f.fd) // the peer shall not take it for a connection that ended
	f.closeSocket()
}

// setLinger makes close(2) send RST.
func setLinger(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

// HandleEvents implements poll.Handler.
func (f *flow) HandleEvents(events uint32) {
	// Ends do not come twice. A server that says goodbye at once has its
	// FIN told together with the connection.
	f.hostEvents.Or(events & (poll.RdHUp | poll.HUp | poll.Err))
	switch f.phase.Load() {
	case connecting:
		if events&(poll.Out|poll.Err|poll.HUp) != 0 {
			f.tcp.connected(f)
		}
		return
	case handshaking:
		return // establish looks at everything
	}
	if events&(poll.In|poll.RdHUp|poll.HUp|poll.Err) != 0 {
		f.toGuest.kick(f)
	}
	if events&(poll.Out|poll.HUp|poll.Err) != 0 {
		f.toHost.kick(f)
	}
}

// establish starts to pump.
func (f *flow) establish() {
	f.ep.SocketOptions().SetDelayOption(false) // the host's peer has decided on segments
	keepOpen.apply(f.ep)
	keepHost.applyHost(f.fd)
	f.entry.Init(f, waiter.ReadableEvents|waiter.WritableEvents|waiter.EventRdHUp|waiter.EventHUp|waiter.EventErr)
	f.queue.EventRegister(&f.entry)
	f.phase.Store(established)
	// What came before.
	f.toHost.kick(f)
	f.toGuest.kick(f)
}

// NotifyEvent implements waiter.EventListener. It runs under the endpoint's
// lock, so it only leaves word.
func (f *flow) NotifyEvent(mask waiter.EventMask) {
	var w uint32
	if mask&(waiter.ReadableEvents|waiter.EventRdHUp) != 0 {
		w |= workToHost
	}
	if mask&waiter.WritableEvents != 0 {
		w |= workToGuest
	}
	if mask&(waiter.EventHUp|waiter.EventErr) != 0 {
		w = workToHost | workToGuest
	}
	f.schedule(w)
}

func (f *flow) schedule(w uint32) {
	f.work.Or(w)
	f.tcp.cfg.Worker.Schedule(&f.task)
}

// doWork runs on the worker.
func (f *flow) doWork() {
	w := f.work.Swap(0)
	if w&workToHost != 0 {
		f.toHost.kick(f)
	}
	if w&workToGuest != 0 {
		f.toGuest.kick(f)
	}
}

// reset ends the flow for both sides at once, on the calling goroutine unless
// another one is just pumping it.
func (f *flow) reset() {
	f.resetGuest.Store(true)
	f.resetHost.Store(true)
	f.dead.Store(true)
	if f.phase.Load() == established { // else establish will see it
		f.toHost.kick(f)
		f.toGuest.kick(f)
	}
}

// die makes both halves end, whoever runs them.
func (f *flow) die() {
	f.dead.Store(true)
	f.schedule(workToHost | workToGuest)
}

// halfDone is called once by each half. The second call ends the flow: nobody
// uses the socket or the endpoint any more.
func (f *flow) halfDone() {
	if f.left.Add(-1) != 0 {
		return
	}
	f.queue.EventUnregister(&f.entry)
	if f.resetHost.Load() {
		setLinger(f.fd)
	}
	f.closeSocket()
	if f.resetGuest.Load() {
		f.ep.Abort()
	} else {
		limitOrphan(f.ep)
	}
	f.ep.Close()
	f.tcp.forget(f)
}
