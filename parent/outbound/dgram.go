package outbound

import (
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

const (
	// recvTurn is how many datagrams one flow may receive, or errors it may
	// be told, before others have their turn.
	recvTurn = 256
	// maxFailed is how many errors in one turn are taken for those of
	// datagrams. With more the socket itself does not work, and must not
	// keep us busy.
	maxFailed = 32
	// maxSends is how often one datagram is sent until an error is believed
	// to be its own.
	maxSends = 3
)

// dgram is a datagram socket of the host, not connected, with an error queue
// (IP_RECVERR, ip(7)): what UDP flows and pings have in common.
//
// The kernel reports an error twice: as an entry in the queue and, just after,
// as the socket's error, which the next call meets, whatever that is. Reading
// the entry takes the socket's error away; but who reads it in between leaves
// an error that seems to be that of the next datagram. So an error of sending
// is believed only when it comes again.
type dgram struct {
	cfg   *dgramConfig
	owner dgramOwner
	fd    int
	opts  *sockopts
	last  hop // what the socket is set to; link's goroutine only
	token poll.Token
	task  poll.Task // goes on receiving after a turn

	life   sync.RWMutex // held for reading while fd is used
	closed bool         // guarded by life

	recv sync.Mutex // held while receiving, which keeps the order
	many bool       // guarded by recv: there was more than one the last time
	errs sync.Mutex // held from an error until the guest has been told
}

// dgramConfig is what all of them work with.
type dgramConfig struct {
	Policy *Policy
	Source Sources
	Poller *poll.Poller
	Worker *poll.Worker
	Sender *datagram.Sender
}

// dgramOwner is the flow that a socket belongs to.
type dgramOwner interface {
	poll.Handler
	// receiveOne receives one datagram into b's room and passes it on.
	receiveOne(b *datagram.Burst) unix.Errno
	// quote builds the beginning of the guest's packet that e is about. It
	// reports false if it was none of the guest's.
	quote(e hostsock.Error) ([]byte, bool)
}

// open gives d a socket that was just made, which it owns from then on, also
// when it fails.
func (d *dgram) open(cfg *dgramConfig, owner dgramOwner, fd int, opts *sockopts) error {
	d.cfg, d.owner, d.fd, d.opts = cfg, owner, fd, opts
	opts.set(fd, opts.recvErr, 1)
	d.last = socketHop(fd, opts)
	d.task.Init(func() { owner.HandleEvents(poll.In) })
	d.life.Lock() // an event may come before the token is stored
	defer d.life.Unlock()
	var err error
	if d.token, err = cfg.Poller.Add(fd, poll.In, owner); err != nil {
		unix.Close(fd)
	}
	return err
}

// close waits for whoever uses the socket.
func (d *dgram) close() {
	d.life.Lock()
	defer d.life.Unlock()
	d.closed = true
	d.cfg.Poller.Remove(d.fd, d.token)
	unix.Close(d.fd)
}

// sendTo sends b, which is part of the guest's packet, to host. EMSGSIZE means
// that the guest has been told the path's MTU. d.life is held.
func (d *dgram) sendTo(b []byte, host netip.AddrPort, packet []byte) (errno unix.Errno) {
	ctrl := d.cfg.Source.of(host.Addr()).control(host.Addr())
	d.errs.Lock()
	defer d.errs.Unlock()
	for range maxSends {
		errno = hostsock.SendTo(d.fd, b, host, ctrl)
		if errno == 0 || errno == unix.EAGAIN {
			return errno
		}
		if d.tellLocked(packet) {
			return unix.EMSGSIZE
		}
	}
	return errno
}

// receive passes on errors and datagrams that an event tells of, and returns
// how many datagrams it were. d.life is held.
func (d *dgram) receive(events uint32) (got int) {
	if events&poll.Err != 0 {
		d.tell()
	}
	d.recv.Lock()
	defer d.recv.Unlock()
	b := d.cfg.Sender.Burst(d.many)
	defer func() { d.many = b.End() > 1 }()
	failed := 0
	for range recvTurn {
		switch errno := d.owner.receiveOne(b); errno {
		case 0:
			got++
		case unix.EAGAIN:
			return got
		default:
			// The error of an earlier datagram, which hides what has come.
			d.tell()
			if failed++; failed > maxFailed {
				return got
			}
		}
	}
	d.cfg.Worker.Schedule(&d.task)
	return got
}

// tell tells the guest of what is in the error queue.
func (d *dgram) tell() {
	d.errs.Lock()
	defer d.errs.Unlock()
	d.tellLocked(nil)
}

// tellLocked is tell while packet is being sent, or nil. It reports whether
// packet was too large for the path. d.errs is held.
//
// Should there be more entries than one turn takes, the kernel makes the next
// one the socket's error.
func (d *dgram) tellLocked(packet []byte) (tooLarge bool) {
	var b [datagram.QuoteMax]byte
	for range recvTurn {
		e, errno := hostsock.RecvErr(d.fd, b[:])
		if errno != 0 {
			break
		}
		m, ok := d.cfg.Policy.icmpError(e)
		if !ok || !e.Dst.IsValid() {
			continue
		}
		if packet != nil && refusedByHost(e) {
			tooLarge = true
			d.cfg.Sender.Error(m, packet)
		} else if quote, ok := d.owner.quote(e); ok {
			d.cfg.Sender.Error(m, quote)
		}
	}
	return tooLarge
}

// refusedByHost tells whether e is about a datagram that the host's kernel did
// not send, as it knows that the path is too narrow. It quotes none of it.
func refusedByHost(e hostsock.Error) bool {
	return e.Origin == unix.SO_EE_ORIGIN_LOCAL && e.Errno == unix.EMSGSIZE
}
