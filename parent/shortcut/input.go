package shortcut

import (
	"errors"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// Input is used by one goroutine, the one that reads from the guest.
type Input struct {
	stack  *stack.Stack
	nic    tcpip.NICID
	queue  queue
	fields fields

	// Between Begin and End.
	ep *tcp.Endpoint
	id stack.TransportEndpointID
}

// queue is what netstack's TCP has for those who found the endpoint of a
// segment.
type queue interface {
	QueuePacket(stack.TransportEndpoint, stack.TransportEndpointID, *stack.PacketBuffer)
}

// NewInput makes an Input for the segments that come in by nic. It fails if
// netstack is not as this package knows it.
func NewInput(s *stack.Stack, nic tcpip.NICID) (*Input, error) {
	f, err := findFields()
	if err != nil {
		return nil, err
	}
	q, ok := s.TransportProtocolInstance(tcp.ProtocolNumber).(queue)
	if !ok {
		return nil, errors.New("shortcut: netstack's TCP has no QueuePacket: it is not the version that this program was written for")
	}
	return &Input{stack: s, nic: nic, queue: q, fields: f}, nil
}

// Begin is called with an unfragmented TCP segment, which is behind hdrLen bytes
// of the packet ip. If it returns true, Queue and End must follow. It returns
// false if netstack shall go its own way: there is no such connection, or
// somebody is busy with it.
func (in *Input) Begin(proto tcpip.NetworkProtocolNumber, ip []byte, hdrLen int) bool {
	h := header.TCP(ip[hdrLen:])
	if len(h) < header.TCPMinimumSize || int(h.DataOffset()) < header.TCPMinimumSize || int(h.DataOffset()) > len(h) {
		return false
	}
	id := &in.id
	id.LocalPort, id.RemotePort = h.DestinationPort(), h.SourcePort()
	if proto == header.IPv4ProtocolNumber {
		id.LocalAddress, id.RemoteAddress = header.IPv4(ip).DestinationAddress(), header.IPv4(ip).SourceAddress()
	} else {
		id.LocalAddress, id.RemoteAddress = header.IPv6(ip).DestinationAddress(), header.IPv6(ip).SourceAddress()
	}
	ep, ok := in.stack.FindTransportEndpoint(proto, tcp.ProtocolNumber, *id, in.nic).(*tcp.Endpoint)
	if !ok {
		return false
	}
	if !ep.TryLock() {
		if !h.Flags().Contains(header.TCPFlagRst) {
			return false
		}
		// What is queued behind a RST netstack answers with RST, a SYN of
		// the next connection too. So there shall be nothing behind it.
		ep.LockUser()
	}
	in.fields.ownedBy(ep).Store(1)
	if !takes(tcp.EndpointState(ep.State())) {
		// It has just ended: the next look will not find it.
		ep.UnlockUser()
		return false
	}
	in.ep = ep
	return true
}

// takes tells whether a connection in state s takes segments from its queue.
func takes(s tcp.EndpointState) bool { return s == tcp.StateSynRecv || connected(s) }

// connected tells the same of one whose handshake is over.
func connected(s tcp.EndpointState) bool {
	switch s {
	case tcp.StateEstablished, tcp.StateCloseWait, tcp.StateFinWait1, tcp.StateFinWait2, tcp.StateClosing, tcp.StateLastAck:
		return true
	}
	return false
}

// Queue gives netstack the segment that Begin was told of. The checksums of pkt
// are right, and its data is the whole packet; it stays the caller's.
func (in *Input) Queue(proto tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer, hdrLen int) {
	pkt.NICID = in.nic
	pkt.NetworkProtocolNumber, pkt.TransportProtocolNumber = proto, tcp.ProtocolNumber
	pkt.RXChecksumValidated = true
	if _, ok := pkt.NetworkHeader().Consume(hdrLen); !ok {
		return // Begin has seen the header
	}
	h, ok := pkt.Data().PullUp(header.TCPMinimumSize)
	if !ok {
		return
	}
	if _, ok = pkt.TransportHeader().Consume(int(header.TCP(h).DataOffset())); !ok {
		return
	}
	in.queue.QueuePacket(in.ep, in.id, pkt)
}

// End processes what was queued since Begin, and tells whether the connection is
// in TIME-WAIT now.
func (in *Input) End() (timeWait bool) {
	ep := in.ep
	in.ep = nil
	owned := in.fields.ownedBy(ep)
	owned.Store(0)
	ep.ResumeWork() // unlocks it
	switch s := tcp.EndpointState(ep.State()); {
	case s == tcp.StateSynRecv:
		handleConnecting(ep)
	case connected(s):
		handleConnected(ep)
	}
	// Where somebody else held the lock just then, or the state was another,
	// the segment is still there. UnlockUser has it processed; so does
	// whoever owns the endpoint.
	if ep.TryLock() {
		owned.Store(1)
		ep.UnlockUser()
	} else if owned.Load() == 0 {
		ep.LockUser()
		ep.UnlockUser()
	}
	return tcp.EndpointState(ep.State()) == tcp.StateTimeWait
}
