package link

import (
	"fmt"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"

	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// turn is how many frames are read before the host's sockets have their turn.
const turn = 32

// tap reads the frames of a TAP when the poller says that there are some.
type tap struct {
	reader
	poller *poll.Poller
	token  poll.Token
	ended  func(error)
	many   bool // the last turn had more than one frame
}

// Watch begins to read the device, on the poller's goroutine. The poller must
// call Between between two batches of events. ended is called there at most
// once, when the device is gone (ErrGone) or cannot be read.
func (e *Endpoint) Watch(p *poll.Poller, ended func(error)) error {
	if e.wire != nil {
		return e.watchWire(p, ended)
	}
	t := &tap{reader: reader{e: e, view: buffer.NewViewSize(viewSize)}, poller: p, ended: ended}
	// HandleEvents waits until the token is there.
	e.reading.Lock()
	defer e.reading.Unlock()
	e.tap = t
	var err error
	if t.token, err = p.Add(e.fd, poll.In|poll.Level, t); err != nil {
		return fmt.Errorf("link: %s: %w", e.name, err)
	}
	return nil
}

// Between is for poll.Poller.Between.
func (e *Endpoint) Between(idle bool) { e.sendAcks(idle) }

// HandleEvents implements poll.Handler.
func (t *tap) HandleEvents(uint32) {
	e := t.e
	e.reading.Lock()
	defer e.reading.Unlock()
	defer e.sendAcks(false) // other events of the batch may take long
	got := 0
	hold := holder{worker: e.worker}
	defer hold.release()
	defer func() {
		if t.more && e.flush != nil {
			e.flush()
		}
		t.many, t.more = got > 1, false
	}()
	for range turn {
		if e.closed.Load() {
			return
		}
		n, errno := t.readFrame(uintptr(e.fd))
		switch {
		case errno == unix.EAGAIN:
			return
		case errno == unix.EINTR:
			continue
		case errno == unix.EBADFD, errno == unix.ECONNRESET, errno == 0 && n == 0:
			t.end(ErrGone)
			return
		case errno != 0:
			t.end(fmt.Errorf("link: read from %s: %w", e.name, errno))
			return
		}
		got++
		t.more = t.more || t.many || got > 1
		hold.hold()
		t.small = false
		t.receive(n)
		if !t.small {
			hold.release()
		}
	}
}

// end says why there is nothing more to read.
func (t *tap) end(why error) {
	t.poller.Remove(t.e.fd, t.token)
	t.ended(why)
}

// holder holds the worker while small segments are read, so that what they leave
// to it, mostly a system call each, is done in one go: whoever is woken by the
// first is awake, and need not be woken, when the others come. What follows from
// others, an acknowledgement that lets a stream go on above all, does not wait.
type holder struct {
	worker *poll.Worker // may be nil
	held   bool
}

func (h *holder) hold() {
	if !h.held && h.worker != nil {
		h.held = h.worker.Hold()
	}
}

func (h *holder) release() {
	if h.held {
		h.held = false
		h.worker.Release()
	}
}
