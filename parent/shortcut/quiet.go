package shortcut

import (
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// Quiet has the segment that was queued, which takes size numbers from seq on,
// not be acknowledged when End processes it, if it is the one that is expected
// next and nothing else is owed. Then the caller must call Acknowledge with the
// result before long, unless the connection sends something else first. It is
// called between Queue and End, and returns nil if all goes its usual way: behind
// our FIN the guest's next segment may end the connection, which could not be
// acknowledged any more. A FIN netstack acknowledges all the same.
//
// Should netstack not take the segment, it finds that it has acknowledged too
// much, and says at once what it has.
func (in *Input) Quiet(seq, size uint32) stack.TransportEndpoint {
	if tcp.EndpointState(in.ep.State()) != tcp.StateEstablished {
		return nil
	}
	acked, next, pending, ok := in.fields.numbers(in.ep)
	if !ok || next != seqnum.Value(seq) || *acked != next || pending != 0 {
		return nil
	}
	*acked = next.Add(seqnum.Size(size))
	return in.ep
}

// Acknowledge acknowledges what Quiet kept back. It must not be called between
// Begin and End.
func (in *Input) Acknowledge(t stack.TransportEndpoint) {
	ep := t.(*tcp.Endpoint)
	ep.LockUser()
	defer ep.UnlockUser()
	if connected(tcp.EndpointState(ep.State())) {
		if snd := in.fields.sender(ep); snd != nil {
			sendAck(snd)
		}
	}
}
