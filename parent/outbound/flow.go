package outbound

import (
	"container/list"
	"context"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/slirp4netns-go/slirp4netns/parent/poll"
	"github.com/slirp4netns-go/slirp4netns/parent/splice"
)

// Phases of a flow.
//
//	connecting ──connect(2) done──▶ handshaking ──guest's ACK──▶ established
//	     │                              │                            │
//	     └── refused, evicted ──────────┴── guest gave up            └── both ends
//	                 abandon                                             splice
const (
	connecting  int32 = iota
	handshaking       // and, once it is started, established
)

// flow is one TCP connection of the guest. Once it is established it is all
// its splice.Flow's.
type flow struct {
	splice.Flow
	tcp   *TCP
	id    stack.TransportEndpointID
	phase atomic.Int32
	// nameserver says that the socket leads to the relay in this process,
	// whose dial says when it is connected, and not the socket.
	nameserver bool
	ctx        context.Context    // of dial; nil without
	cancel     context.CancelFunc // ends it; nil without

	// Until it is established.
	net      tcpip.NetworkProtocolNumber
	nic      tcpip.NICID
	waits    *list.List    // guarded by TCP.mu; TCP.dialling, TCP.answered or nil
	element  *list.Element // guarded by TCP.mu; in waits
	unwanted atomic.Bool   // its handshake is not to begin, if it has not
	// syn is the guest's SYN. It is guarded by TCP.mu while the flow is in
	// TCP.dialling, and its owner's afterwards: who took it out of there.
	syn *stack.PacketBuffer
	// isn is the sequence number of syn, and stays. next is a SYN with another
	// one, which came when the flow could not be answered any more. Both are
	// guarded by TCP.mu.
	isn  uint32
	next *stack.PacketBuffer
}

// dropNextLocked forgets about next. TCP.mu is held.
func (f *flow) dropNextLocked() {
	if f.next != nil {
		f.next.DecRef()
		f.next = nil
	}
}

// sequenceNumber is that of a TCP segment.
func sequenceNumber(pkt *stack.PacketBuffer) uint32 {
	return header.TCP(pkt.TransportHeader().Slice()).SequenceNumber()
}

func newFlow(t *TCP, id stack.TransportEndpointID, fd int, phase int32) *flow {
	f := &flow{tcp: t, id: id}
	f.phase.Store(phase)
	f.Init(&t.splice, fd, func() { t.forget(f) })
	return f
}

// waitLocked puts f at the end of a list of at most TCP.waiting flows. It
// returns the flow that had to leave the list for it. TCP.mu is held.
func (f *flow) waitLocked(l *list.List) (victim *flow) {
	f.waits, f.element = l, l.PushBack(f)
	if l.Len() > f.tcp.waiting {
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

// abandon ends a flow that never was established. The caller has taken it out
// of the table.
func (f *flow) abandon() {
	if f.syn != nil {
		f.syn.DecRef()
		f.syn = nil
	}
	if f.cancel != nil {
		f.cancel() // nobody waits for the resolver any more
	}
	f.Abandon()
}

// HandleEvents implements poll.Handler.
func (f *flow) HandleEvents(events uint32) {
	f.Note(events)
	switch {
	case f.Started():
		f.Flow.HandleEvents(events)
	case f.phase.Load() == connecting && !f.nameserver && events&(poll.Out|poll.Err|poll.HUp) != 0:
		f.tcp.connected(f, events)
	}
	// While the guest's handshake lasts: Start looks at everything.
}
