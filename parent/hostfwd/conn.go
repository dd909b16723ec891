package hostfwd

import (
	"container/list"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/slirp4netns-go/slirp4netns/parent/poll"
	"github.com/slirp4netns-go/slirp4netns/parent/splice"
)

// conn is one connection of a client.
//
//	accepted ──SYN to the guest──▶ waiting ──guest accepts──▶ started (splice.Flow)
//	                                  │
//	                                  └── refused, unreachable, no answer, client gone: fail
type conn struct {
	splice.Flow
	streams *streams
	rule    *rule
	client  netip.AddrPort
	seen    netip.Addr // the client as the guest sees it
	guest   netip.AddrPort
	since   time.Time

	element *list.Element // guarded by streams.mu; nil once it does not wait
	ep      tcpip.Endpoint
	entry   waiter.Entry // tells of the guest's answer
	task    poll.Task    // looks at it
}

func newConn(l *listener, fd int, client netip.AddrPort) *conn {
	c := &conn{
		streams: l.streams,
		rule:    l.rule,
		client:  client,
		seen:    l.streams.cfg.seen(client.Addr(), l.guest.Addr()),
		guest:   l.guest,
		since:   time.Now(),
	}
	c.Init(&l.streams.splice, fd, func() { l.streams.forget(c) })
	c.task.Init(c.advance)
	c.entry.Init(c, waiter.WritableEvents|waiter.EventHUp|waiter.EventErr)
	return c
}

// prepare makes the endpoint towards the guest. Its source port is the
// client's; port 0 takes another.
func (c *conn) prepare(port uint16) error {
	proto := ipv4.ProtocolNumber
	if c.guest.Addr().Is6() {
		proto = ipv6.ProtocolNumber
	}
	ep, terr := c.streams.cfg.Stack.NewEndpoint(tcp.ProtocolNumber, proto, c.Queue())
	if terr != nil {
		return tcpipError{"endpoint", terr}
	}
	// One client port may lead to several ports of the guest.
	ep.SocketOptions().SetReuseAddress(true)
	if terr := ep.SetSockOptInt(tcpip.TCPSynCountOption, c.streams.cfg.SYNRetries); terr != nil {
		ep.Close()
		return tcpipError{"SYN retries", terr}
	}
	at := tcpip.FullAddress{NIC: c.streams.cfg.NIC, Addr: tcpip.AddrFromSlice(c.seen.AsSlice()), Port: port}
	if terr := ep.Bind(at); terr != nil {
		ep.Close()
		if port != 0 {
			return c.prepare(0)
		}
		return tcpipError{"bind " + c.seen.String(), terr}
	}
	c.ep = ep
	return nil
}

// connect asks the guest. After an error there is no endpoint.
func (c *conn) connect() error {
	if err := c.prepare(c.client.Port()); err != nil {
		return err
	}
	terr := c.start()
	if _, taken := terr.(*tcpip.ErrBadLocalAddress); taken {
		// There is a connection with the same four numbers.
		c.ep.Close()
		if err := c.prepare(0); err != nil {
			return err
		}
		terr = c.start()
	}
	switch terr.(type) {
	case nil, *tcpip.ErrConnectStarted:
		return nil
	}
	c.Queue().EventUnregister(&c.entry)
	c.ep.Close()
	return tcpipError{"connect " + c.guest.String(), terr}
}

// start sends the SYN.
func (c *conn) start() tcpip.Error {
	c.Queue().EventRegister(&c.entry)
	terr := c.ep.Connect(c.to())
	if _, taken := terr.(*tcpip.ErrBadLocalAddress); taken {
		c.Queue().EventUnregister(&c.entry)
	}
	return terr
}

func (c *conn) to() tcpip.FullAddress {
	return tcpip.FullAddress{NIC: c.streams.cfg.NIC, Addr: tcpip.AddrFromSlice(c.guest.Addr().AsSlice()), Port: c.guest.Port()}
}

// peer is the client's end as the guest sees it.
func (c *conn) peer() netip.AddrPort {
	port := c.client.Port()
	if a, err := c.ep.GetLocalAddress(); err == nil {
		port = a.Port
	}
	return netip.AddrPortFrom(c.seen, port)
}

// NotifyEvent implements waiter.EventListener, for the handshake. It runs under
// the endpoint's lock, so it only leaves word.
func (c *conn) NotifyEvent(waiter.EventMask) { c.streams.cfg.Worker.Schedule(&c.task) }

// advance looks at the guest's answer.
func (c *conn) advance() {
	if !c.streams.waits(c) {
		return // not yet, or no more
	}
	switch c.ep.Connect(c.to()).(type) {
	case *tcpip.ErrConnectStarted, *tcpip.ErrAlreadyConnecting:
	case nil:
		if c.streams.leave(c) {
			c.Queue().EventUnregister(&c.entry)
			c.Start(c.ep)
		}
	default:
		c.fail()
	}
}

// HandleEvents implements poll.Handler.
func (c *conn) HandleEvents(events uint32) {
	c.Note(events)
	switch {
	case c.Started():
		c.Flow.HandleEvents(events)
	case events&(poll.HUp|poll.Err) != 0:
		c.fail() // the client has reset it
	}
	// A client that has only finished sending still wants its answer.
}

// fail ends a connection that the guest has not accepted: the client gets RST.
// It reports false, and does nothing, if the connection does not wait.
func (c *conn) fail() bool {
	if !c.streams.leave(c) {
		return false
	}
	c.streams.failed.Add(1)
	c.discard()
	c.streams.forget(c)
	return true
}

// discard closes both sides of a connection that was not started.
func (c *conn) discard() {
	c.Queue().EventUnregister(&c.entry)
	c.ep.Close()
	c.Abandon()
}

// tcpipError is an error of netstack with what failed.
type tcpipError struct {
	op  string
	err tcpip.Error
}

func (e tcpipError) Error() string { return e.op + ": " + e.err.String() }
