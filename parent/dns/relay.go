package dns

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/flowtable"
	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

const (
	// idle is how long a socket waits for an answer to the last query.
	idle = 10 * time.Second
	// maxFlows bounds the sockets of a storm of queries.
	maxFlows = 1024
)

// Relay carries queries over UDP.
type Relay struct {
	resolvers *Resolvers
	poller    *poll.Poller
	sender    *datagram.Sender
	table     *flowtable.Table[netip.AddrPort, *flow]
}

// NewRelay makes a Relay of at most max sockets; 0: 1024.
func NewRelay(r *Resolvers, p *poll.Poller, s *datagram.Sender, max int) *Relay {
	if max == 0 {
		max = maxFlows
	}
	return &Relay{
		resolvers: r,
		poller:    p,
		sender:    s,
		table:     flowtable.New[netip.AddrPort](max, (*flow).close),
	}
}

// flow is a socket that is connected to a resolver, on behalf of one port of
// the guest.
type flow struct {
	relay    *Relay
	guest    netip.AddrPort
	via      netip.AddrPort // the nameserver's address that the guest asked
	resolver netip.AddrPort
	fd       int
	token    poll.Token

	life   sync.RWMutex // held for reading while fd is used
	closed bool         // guarded by life
}

// Query sends the guest's query on. It does not block.
func (r *Relay) Query(guest, via netip.AddrPort, query []byte) {
	resolver, ok := r.resolvers.First()
	if !ok {
		return
	}
	f, ok := r.table.Get(guest)
	if !ok || f.resolver != resolver || f.via != via {
		var err error
		if f, err = r.open(guest, via, resolver); err != nil {
			return // the guest asks again
		}
		r.table.Put(guest, f, idle)
	}
	f.send(query)
}

// open makes a connected socket. The kernel draws its port at random.
func (r *Relay) open(guest, via, resolver netip.AddrPort) (*flow, error) {
	fd, err := unix.Socket(hostsock.Family(resolver.Addr()), unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Connect(fd, hostsock.Sockaddr(resolver)); err != nil {
		unix.Close(fd)
		return nil, err
	}
	f := &flow{relay: r, guest: guest, via: via, resolver: resolver, fd: fd}
	f.life.Lock() // an event may come before the token is stored
	defer f.life.Unlock()
	token, err := r.poller.Add(fd, poll.In, f)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	f.token = token
	return f, nil
}

func (f *flow) send(query []byte) {
	f.life.RLock()
	defer f.life.RUnlock()
	if f.closed {
		return
	}
	if errno := hostsock.SendTo(f.fd, query, netip.AddrPort{}, nil); errno == unix.ECONNREFUSED {
		// The error of an earlier query; this one has not been sent.
		hostsock.SendTo(f.fd, query, netip.AddrPort{}, nil)
	}
}

// close ends the flow. It waits for whoever uses the socket.
func (f *flow) close() {
	f.life.Lock()
	defer f.life.Unlock()
	f.closed = true
	f.relay.poller.Remove(f.fd, f.token)
	unix.Close(f.fd)
}

// HandleEvents implements poll.Handler: answers go to the guest.
func (f *flow) HandleEvents(uint32) {
	f.life.RLock()
	defer f.life.RUnlock()
	if f.closed {
		return
	}
	b := buffers.Get().(*[hostsock.MaxDatagram]byte)
	defer buffers.Put(b)
	for {
		n, _, errno := hostsock.RecvFrom(f.fd, b[:])
		switch errno {
		case 0:
			f.relay.sender.UDP(f.via, f.guest, b[:n], datagram.Meta{})
		case unix.ECONNREFUSED:
			// Taken note of by reading it.
		default:
			return
		}
	}
}

var buffers = sync.Pool{New: func() any { return new([hostsock.MaxDatagram]byte) }}

// Len is the number of sockets.
func (r *Relay) Len() int { return r.table.Len() }

// Close ends all flows.
func (r *Relay) Close() { r.table.Close() }
