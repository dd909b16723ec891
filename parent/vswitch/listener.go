package vswitch

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// rest is how long nobody is accepted after that failed: for want of
// descriptors, most of the time.
const rest = 200 * time.Millisecond

// accepts is how many peers come in before others have their turn.
const accepts = 16

// listener accepts peers.
type listener struct {
	sw    *Switch
	token poll.Token

	mu sync.Mutex
	fd int // guarded by mu; -1 once it is closed
}

// start begins to accept.
func (l *listener) start() (err error) {
	// The handler may be called before the token is there.
	l.mu.Lock()
	defer l.mu.Unlock()
	l.token, err = l.sw.poller.Add(l.fd, poll.In|poll.Level, l)
	return err
}

// HandleEvents implements poll.Handler.
func (l *listener) HandleEvents(uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range accepts {
		fd, _, err := unix.Accept4(l.fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		switch {
		case err == unix.EINTR, err == unix.ECONNABORTED:
		case err == unix.EAGAIN:
			return
		case err != nil:
			// There would be an event again at once, and nothing to be
			// done about it.
			_ = l.sw.poller.Modify(l.fd, l.token, 0)
			time.AfterFunc(rest, l.goOn)
			return
		case l.sw.Peers() >= l.sw.max:
			l.sw.stats.Refused.Add(1) // before the peer can see it
			unix.Close(fd)
		default:
			l.sw.plug(fd)
		}
	}
}

// goOn has peers accepted again.
func (l *listener) goOn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fd >= 0 {
		_ = l.sw.poller.Modify(l.fd, l.token, poll.In|poll.Level)
	}
}

func (l *listener) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	unix.Close(l.fd)
	l.fd = -1
}
