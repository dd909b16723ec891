package tcpinput

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// Input is used by one goroutine, the one that reads from the guest.
type Input struct {
	stack  *stack.Stack
	nic    tcpip.NICID
	offset uintptr
	ep     *tcp.Endpoint // between Begin and End
}

// New makes an Input for the segments that come in by nic. It fails if
// netstack is not as this package knows it.
func New(s *stack.Stack, nic tcpip.NICID) (*Input, error) {
	offset, err := ownedOffset()
	if err != nil {
		return nil, err
	}
	return &Input{stack: s, nic: nic, offset: offset}, nil
}

// Begin is called before netstack is given an unfragmented TCP segment, which
// is behind hdrLen bytes of the packet ip. If it returns true, End must
// be called when netstack has got it. It returns false if netstack shall go
// its own way: there is no such connection, or somebody is busy with it.
func (in *Input) Begin(proto tcpip.NetworkProtocolNumber, ip []byte, hdrLen int) bool {
	payload := ip[hdrLen:]
	if len(payload) < header.TCPMinimumSize {
		return false
	}
	h := header.TCP(payload)
	id := stack.TransportEndpointID{LocalPort: h.DestinationPort(), RemotePort: h.SourcePort()}
	if proto == header.IPv4ProtocolNumber {
		id.LocalAddress, id.RemoteAddress = header.IPv4(ip).DestinationAddress(), header.IPv4(ip).SourceAddress()
	} else {
		id.LocalAddress, id.RemoteAddress = header.IPv6(ip).DestinationAddress(), header.IPv6(ip).SourceAddress()
	}
	ep, ok := in.stack.FindTransportEndpoint(proto, tcp.ProtocolNumber, id, in.nic).(*tcp.Endpoint)
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
	in.owned(ep).Store(1)
	in.ep = ep
	return true
}

// End processes what netstack has queued since Begin, and tells whether the
// connection is in TIME-WAIT now.
func (in *Input) End() (timeWait bool) {
	ep := in.ep
	in.ep = nil
	in.owned(ep).Store(0)
	ep.ResumeWork() // unlocks it
	switch s := tcp.EndpointState(ep.State()); s {
	case tcp.StateSynRecv:
		handleConnecting(ep)
	case tcp.StateEstablished, tcp.StateCloseWait, tcp.StateFinWait1, tcp.StateFinWait2, tcp.StateClosing, tcp.StateLastAck:
		handleConnected(ep)
	}
	// Where somebody else held the lock just then, or the state was another,
	// the segment is still there. UnlockUser has it processed; so does
	// whoever owns the endpoint.
	if ep.TryLock() {
		in.owned(ep).Store(1)
		ep.UnlockUser()
	} else if in.owned(ep).Load() == 0 {
		ep.LockUser()
		ep.UnlockUser()
	}
	return tcp.EndpointState(ep.State()) == tcp.StateTimeWait
}
