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

	// Until the handshake.
	syn     *stack.PacketBuffer // the guest's SYN
	element *list.Element       // guarded by TCP.mu; in TCP.oldest

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

func (f *flow) setToken(t poll.Token) {
	f.mu.Lock()
	f.token = t
	f.mu.Unlock()
}

// closeSocket closes the host's socket and ends its registration.
func (f *flow) closeSocket() {
	f.mu.Lock()
	defer f.mu.Unlock()
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
	switch f.phase.Load() {
	case connecting:
		if events&(poll.Out|poll.Err|poll.HUp) != 0 {
			f.tcp.connected(f)
		}
		return
	case handshaking:
		f.hostEvents.Or(events)
		// establish may have run in between, without these events.
		if f.phase.Load() != established {
			return
		}
	}
	f.hostEvents.Or(events & (poll.RdHUp | poll.HUp | poll.Err))
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
	f.phase.Store(established)
	f.queue.EventRegister(&f.entry)
	// What came before the registration.
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

// reset ends the flow for both sides at once.
func (f *flow) reset() {
	f.resetGuest.Store(true)
	f.resetHost.Store(true)
	f.die()
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
	}
	f.ep.Close()
	f.tcp.forget(f)
}
