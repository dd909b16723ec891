package splice

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// Config is what all flows of one kind share.
type Config struct {
	Poller *poll.Poller
	Worker *poll.Worker
	// Orphans are for the connections that outlive their Flow's socket.
	Orphans *Orphans
	// Memory is shared by the Flows of all Configs.
	Memory *Memory
	Times  *Times // nil: DefaultTimes
}

// Flow is one TCP connection: an endpoint of netstack towards the guest and a
// socket of the host. It is embedded in what its owner knows of it.
//
//	Init ── Watch ──▶ (the owner makes the endpoint) ── Start ──▶ ended
//	                         └── Abandon
type Flow struct {
	cfg   *Config
	fd    int
	ended func()
	since time.Time

	mu      sync.Mutex
	token   poll.Token  // guarded by mu
	gone    bool        // guarded by mu; fd is closed
	limited *time.Timer // guarded by mu; calls overdue
	rest    rest        // guarded by mu
	// progress is the guest's.
	progress progress // guarded by mu

	// queue is the endpoint's from its making on.
	queue waiter.Queue
	entry waiter.Entry
	ep    tcpip.Endpoint
	// started says that it is pumped, and that ep is set.
	started atomic.Bool

	toHost        half          // guest → host
	receiveBuffer receiveBuffer // toHost's
	toGuest       half          // host → guest
	sendQueue     sendQueue     // toGuest's
	left          atomic.Int32
	// hostEvents collects what the poller said about the socket's end:
	// hang-ups and errors do not come twice.
	hostEvents atomic.Uint32
	probed     bool // toHost's; the guest's FIN has come
	// hostFailed says that the host's socket takes and brings nothing new:
	// toHost ends at its next step, toGuest when it has passed on the rest.
	hostFailed atomic.Bool
	// taken is when the guest last took some of what a socket that is closed
	// or has failed had left for it, or when that came about: nanoseconds
	// after since.
	taken atomic.Int64
	// dead makes both halves end at their next step.
	dead       atomic.Bool
	resetGuest atomic.Bool // the guest shall see RST
	resetHost  atomic.Bool // the host's peer shall see RST

	errMu     sync.Mutex // held while toHost may be told an error
	hostErrno unix.Errno // guarded by errMu; the first error that it was told

	fromGuest, intoGuest atomic.Uint64 // bytes

	// orphaned says that both halves have ended, and the rest is netstack's.
	orphaned atomic.Bool
	orphan   *list.Element // guarded by Orphans.mu

	// task runs what netstack's callback asked for; work says which halves.
	task poll.Task
	work atomic.Uint32
}

// Bits of Flow.work.
const (
	workToHost uint32 = 1 << iota
	workToGuest
	workRefuse
)

// Init prepares a Flow for a socket of the host, which it owns from then on.
// ended is called once, when a started Flow has ended and closed everything.
func (f *Flow) Init(cfg *Config, fd int, ended func()) {
	f.cfg, f.fd, f.ended = cfg, fd, ended
	f.since = time.Now()
	f.left.Store(2)
	f.toHost.pump = f.pumpToHost
	f.toGuest.pump = f.pumpToGuest
	f.task.Init(f.doWork)
}

// FD is the socket of the host. It may be used until Start or Abandon.
func (f *Flow) FD() int { return f.fd }

// Queue is what the endpoint is to be made with.
func (f *Flow) Queue() *waiter.Queue { return &f.queue }

// Watch registers the socket with the poller, whose events go to h. The first
// event may come before Watch returns, so whoever closes the socket waits for
// the token.
func (f *Flow) Watch(h poll.Handler) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		return nil // it was abandoned meanwhile; its descriptor may be another's
	}
	var err error
	f.token, err = f.cfg.Poller.Add(f.fd, poll.In|poll.Out|poll.RdHUp, h)
	return err
}

// closeSocket closes the host's socket and ends its registration.
func (f *Flow) closeSocket() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gone = true
	if f.rest.look != nil {
		f.rest.look.Stop()
	}
	f.cfg.Poller.Remove(f.fd, f.token)
	unix.Close(f.fd)
}

// Abandon ends a Flow that was never started: the host's peer sees RST, since
// it shall not take it for a connection that ended.
func (f *Flow) Abandon() {
	AbortOnClose(f.fd)
	f.closeSocket()
}

// AbortOnClose makes close(2) send RST.
func AbortOnClose(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

// Note remembers the ends among the socket's events. They do not come twice: a
// server that says goodbye at once has its FIN told together with the
// connection.
func (f *Flow) Note(events uint32) {
	f.hostEvents.Or(events & (poll.RdHUp | poll.HUp | poll.Err))
}

// HandleEvents implements poll.Handler for a started Flow.
func (f *Flow) HandleEvents(events uint32) {
	f.Note(events)
	if f.cfg.Worker.Hold() {
		defer f.cfg.Worker.Release()
	}
	if events&(poll.In|poll.RdHUp|poll.HUp|poll.Err) != 0 {
		f.toGuest.kick(f)
	}
	if events&(poll.Out|poll.HUp|poll.Err) != 0 {
		f.toHost.kick(f)
	}
}

// Start begins to pump. ep is connected and was made with Queue; it is the
// Flow's from then on.
func (f *Flow) Start(ep tcpip.Endpoint) {
	f.ep = ep
	f.ep.SocketOptions().SetDelayOption(false) // the host's peer has decided on segments
	f.cfg.times().Open.apply(f.ep)
	f.cfg.times().Host.applyHost(f.fd)
	f.initSendQueue()
	f.initReceiveBuffer()
	f.entry.Init(f, waiter.ReadableEvents|waiter.WritableEvents|waiter.EventRdHUp|waiter.EventHUp|waiter.EventErr)
	f.queue.EventRegister(&f.entry)
	f.started.Store(true)
	// What came before.
	f.toHost.kick(f)
	f.toGuest.kick(f)
}

// Started tells whether Start has been called. Events that were noted before a
// false answer are seen by Start.
func (f *Flow) Started() bool { return f.started.Load() }

// NotifyEvent implements waiter.EventListener. It runs under the endpoint's
// lock, so it only leaves word.
func (f *Flow) NotifyEvent(mask waiter.EventMask) {
	var w uint32
	if mask&waiter.ReadableEvents != 0 && f.hostFailed.Load() {
		w |= workRefuse
	}
	if f.orphaned.Load() {
		if mask&(waiter.EventHUp|waiter.EventErr) != 0 {
			f.cfg.Orphans.remove(f)
		} else if w != 0 {
			f.schedule(w)
		}
		return
	}
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

func (f *Flow) schedule(w uint32) {
	f.work.Or(w)
	f.cfg.Worker.Schedule(&f.task)
}

// doWork runs on the worker.
func (f *Flow) doWork() {
	w := f.work.Swap(0)
	if w&workToHost != 0 {
		f.toHost.kick(f)
	}
	if w&workToGuest != 0 {
		f.toGuest.kick(f)
	}
	if w&workRefuse != 0 {
		f.refuse()
	}
}

// Reset ends the Flow for both sides at once, on the calling goroutine unless
// another one is just pumping it. One that is not started ends when it is.
func (f *Flow) Reset() {
	f.resetGuest.Store(true)
	f.resetHost.Store(true)
	f.dead.Store(true)
	if f.started.Load() {
		f.toHost.kick(f)
		f.toGuest.kick(f)
	}
}

// die makes both halves end, whoever runs them.
func (f *Flow) die() {
	f.dead.Store(true)
	f.schedule(workToHost | workToGuest)
}

// halfDone is called once by each half. The second call ends the Flow: nobody
// uses the socket or the endpoint any more.
func (f *Flow) halfDone() {
	if f.left.Add(-1) != 0 {
		if f.guestEnded() {
			f.schedule(workToGuest) // maybe nothing is left
		}
		return
	}
	if f.resetHost.Load() {
		AbortOnClose(f.fd)
	}
	f.closeSocket()
	f.closeWindow()
	if f.dead.Load() {
		f.cfg.Memory.toGuest.charge(f, 0)
		f.unlimit()
		f.queue.EventUnregister(&f.entry)
		f.ep.Abort()
		f.ep.Close()
	} else {
		f.leave()
	}
	f.ended()
}
