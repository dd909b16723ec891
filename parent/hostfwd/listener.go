package hostfwd

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

const (
	// acceptTurn is how many connections one port may accept before others
	// have their turn.
	acceptTurn = 64
	// acceptPause is how long a port waits when there is no room for a
	// connection: no descriptor, or as many connections as may be. Clients
	// wait in the backlog meanwhile.
	acceptPause = 50 * time.Millisecond
)

// listener is one TCP port.
type listener struct {
	streams *streams
	rule    *rule
	guest   netip.AddrPort
	fd      int
	token   poll.Token
	task    poll.Task   // goes on accepting after a turn
	paused  atomic.Bool // a timer will schedule task

	life   sync.RWMutex // held for reading while fd is used
	closed bool         // guarded by life
}

// serve begins to accept connections for guest.
func (s *streams) serve(r *rule, fd int, guest netip.AddrPort) (port, error) {
	l := &listener{streams: s, rule: r, guest: guest, fd: fd}
	l.task.Init(func() { l.HandleEvents(poll.In) })
	l.life.Lock() // an event may come before the token is stored
	defer l.life.Unlock()
	var err error
	l.token, err = s.cfg.Poller.Add(fd, poll.In, l)
	return l, err
}

// mostAtOnce is how many clients acceptWaiting accepts: as many as net.core.somaxconn
// lets wait, where nobody has changed it.
const mostAtOnce = 4096

// acceptWaiting accepts the clients that wait for it. They are connected
// already, as far as they know.
func (l *listener) acceptWaiting() {
	l.life.RLock()
	defer l.life.RUnlock()
	for range mostAtOnce {
		if l.closed || l.streams.full() {
			return
		}
		fd, sa, err := unix.Accept4(l.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case err == nil:
			l.streams.accepted(l, fd, hostsock.AddrPort(sa))
		case !errors.Is(err, unix.ECONNABORTED) && !errors.Is(err, unix.EINTR):
			return
		}
	}
}

// close frees the port. Clients that were not accepted get RST.
func (l *listener) close() {
	l.life.Lock()
	defer l.life.Unlock()
	l.closed = true
	l.streams.cfg.Poller.Remove(l.fd, l.token)
	unix.Close(l.fd)
}

// HandleEvents implements poll.Handler.
func (l *listener) HandleEvents(uint32) {
	l.life.RLock()
	defer l.life.RUnlock()
	if l.closed {
		return
	}
	for range acceptTurn {
		if l.streams.full() {
			l.pause()
			return
		}
		fd, sa, err := unix.Accept4(l.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case err == nil:
			l.streams.accepted(l, fd, hostsock.AddrPort(sa))
		case errors.Is(err, unix.EAGAIN):
			return
		case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ENOMEM):
			l.pause()
			return
		}
		// Other errors are those of the connection (accept(2)).
	}
	l.streams.cfg.Worker.Schedule(&l.task)
}

// pause goes on a little later: no further event tells of what waits already.
func (l *listener) pause() {
	if l.paused.Swap(true) {
		return
	}
	time.AfterFunc(acceptPause, func() {
		l.paused.Store(false)
		l.streams.cfg.Worker.Schedule(&l.task)
	})
}
