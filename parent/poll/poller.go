package poll

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Events that a Handler is told of. Hang-up and error are always reported.
const (
	In    = unix.EPOLLIN
	Out   = unix.EPOLLOUT
	Err   = unix.EPOLLERR
	HUp   = unix.EPOLLHUP
	RdHUp = unix.EPOLLRDHUP

	// Level, among the events of a registration, has the Handler told as long
	// as they last, and not only when they begin.
	Level = 1 << 24
)

// batch is how many events one epoll_wait(2) may return.
const batch = 128

// Handler is told of readiness. HandleEvents runs on the poller's goroutine,
// so it must not block.
type Handler interface {
	HandleEvents(events uint32)
}

// Token names one registration. The zero Token names none.
type Token struct {
	index int32 // slot + 1
	gen   int32
}

// slot is one registration. A file descriptor's number can be used again
// while an event for its predecessor is still in the batch; the generation
// tells them apart.
type slot struct {
	gen     int32
	handler Handler
}

// Poller watches file descriptors.
type Poller struct {
	between func(idle bool)
	ended   chan struct{} // closed when Run returns
	running atomic.Bool
	closed  atomic.Bool
	bell    int // an eventfd that Close rings

	mu    sync.Mutex
	epfd  int     // guarded by mu; -1 after Close
	slots []slot  // guarded by mu
	free  []int32 // guarded by mu; indexes of slots
}

// New makes a Poller. Run must be called for events to be delivered.
func New() (*Poller, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epfd)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	p := &Poller{between: func(bool) {}, epfd: epfd, bell: bell, ended: make(chan struct{})}
	if _, err := p.Add(bell, In, silence{}); err != nil {
		unix.Close(epfd)
		unix.Close(bell)
		return nil, err
	}
	return p, nil
}

// silence is what the bell's event is for: it has been heard.
type silence struct{}

func (silence) HandleEvents(uint32) {}

// Between has fn called, on the poller's goroutine, before each batch of events
// is delivered, and with true when there was none for a while and the poller is
// going to sleep. It must be called before Run.
func (p *Poller) Between(fn func(idle bool)) { p.between = fn }

// epollEvent is what is asked of the kernel.
func epollEvent(events uint32, index, gen int32) unix.EpollEvent {
	ev := unix.EpollEvent{Events: events &^ Level, Fd: index, Pad: gen}
	if events&Level == 0 {
		ev.Events |= unix.EPOLLET
	}
	return ev
}

// Add watches fd for events, edge-triggered unless Level is among them. The
// handler may be called before Add returns.
func (p *Poller) Add(fd int, events uint32, h Handler) (Token, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var i int32
	if n := len(p.free); n > 0 {
		i = p.free[n-1]
		p.free = p.free[:n-1]
	} else {
		i = int32(len(p.slots))
		p.slots = append(p.slots, slot{})
	}
	s := &p.slots[i]
	s.gen++
	s.handler = h
	ev := epollEvent(events, i, s.gen)
	if err := unix.EpollCtl(p.epfd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		s.handler = nil
		p.free = append(p.free, i)
		return Token{}, fmt.Errorf("epoll_ctl(ADD, %d): %w", fd, err)
	}
	return Token{index: i + 1, gen: s.gen}, nil
}

// Modify changes what fd, which is registered as t, is watched for.
func (p *Poller) Modify(fd int, t Token, events uint32) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.index == 0 || p.slots[t.index-1].gen != t.gen || p.slots[t.index-1].handler == nil {
		return nil // it has ended
	}
	ev := epollEvent(events, t.index-1, t.gen)
	if err := unix.EpollCtl(p.epfd, unix.EPOLL_CTL_MOD, fd, &ev); err != nil {
		return fmt.Errorf("epoll_ctl(MOD, %d): %w", fd, err)
	}
	return nil
}

// Remove ends a registration. The caller closes fd afterwards; no event is
// delivered once Remove has returned, except one that is running already.
func (p *Poller) Remove(fd int, t Token) {
	if t.index == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.slots[t.index-1]
	if s.gen != t.gen || s.handler == nil {
		return
	}
	s.handler = nil
	p.free = append(p.free, t.index-1)
	// It can fail only if fd is not registered, and then there is nothing
	// to undo.
	_ = unix.EpollCtl(p.epfd, unix.EPOLL_CTL_DEL, fd, nil)
}

// handler returns the handler of an event, nil if its registration has ended.
func (p *Poller) handler(ev *unix.EpollEvent) Handler {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := &p.slots[ev.Fd]; s.gen == ev.Pad {
		return s.handler
	}
	return nil
}

// Run delivers events until Close. Its error is nil after Close.
func (p *Poller) Run() error {
	p.running.Store(true)
	defer close(p.ended)
	p.mu.Lock()
	epfd := p.epfd
	p.mu.Unlock()
	events := make([]unix.EpollEvent, batch)
	w := newWaiter()
	for !p.closed.Load() {
		runtime.Gosched() // for those who became ready meanwhile
		n, errno := w.wait(epfd, events, func() { p.between(true) })
		p.between(false)
		if errno != 0 && errno != unix.EINTR {
			return fmt.Errorf("epoll_wait: %w", errno)
		}
		for i := range events[:n] {
			if p.closed.Load() {
				return nil // events may not end
			}
			if h := p.handler(&events[i]); h != nil {
				h.HandleEvents(events[i].Events)
			}
		}
	}
	return nil
}

// Close ends Run, and waits for that. Registered descriptors stay open: they
// are their owners'. It must not be called by a Handler.
func (p *Poller) Close() error {
	if p.closed.Swap(true) {
		return nil
	}
	if p.running.Load() {
		one := [8]byte{1}
		if _, err := unix.Write(p.bell, one[:]); err != nil {
			return fmt.Errorf("eventfd: %w", err)
		}
		<-p.ended
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	epfd := p.epfd
	p.epfd = -1 // the number may soon be another's
	return errors.Join(unix.Close(epfd), unix.Close(p.bell))
}
