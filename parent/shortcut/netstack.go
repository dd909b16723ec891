package shortcut

import (
	"fmt"
	"reflect"
	"unsafe" // also for go:linkname

	"gvisor.dev/gvisor/pkg/atomicbitops"
	"gvisor.dev/gvisor/pkg/tcpip/seqnum"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// handleConnected processes the queued segments of an endpoint in one of the
// connected states but TIME-WAIT. It does nothing if the endpoint is locked.
//
//go:linkname handleConnected gvisor.dev/gvisor/pkg/tcpip/transport/tcp.handleConnected
func handleConnected(*tcp.Endpoint)

// handleConnecting does so for one that waits for the end of its handshake.
//
//go:linkname handleConnecting gvisor.dev/gvisor/pkg/tcpip/transport/tcp.handleConnecting
func handleConnecting(*tcp.Endpoint)

// sendAck sends an acknowledgement of all that a sender's endpoint, whose lock
// is held, has received.
//
//go:linkname sendAck gvisor.dev/gvisor/pkg/tcpip/transport/tcp.(*sender).sendAck
func sendAck(sender unsafe.Pointer)

// fields are where netstack keeps what it does not export.
type fields struct {
	// owned is 1 while a caller of the endpoint's methods holds the lock.
	// Whoever gives the lock back then looks after the segments that came
	// meanwhile, so nobody is woken for them.
	owned uintptr // in tcp.Endpoint; an atomicbitops.Uint32

	snd        uintptr // in tcp.Endpoint; a pointer, nil before the handshake
	maxSentAck uintptr // behind snd: what was acknowledged last

	rcv     uintptr // in tcp.Endpoint; a pointer, nil before the handshake
	rcvNxt  uintptr // behind rcv: what is expected next
	pending uintptr // behind rcv: bytes that came before their turn
}

// findFields finds them by their names.
func findFields() (f fields, err error) {
	ep := reflect.TypeFor[tcp.Endpoint]()
	find := func(t reflect.Type, name string, want reflect.Type) uintptr {
		offset, found, ok := fieldOf(t, name)
		if !ok || want != nil && found != want || want == nil && found.Kind() != reflect.Pointer {
			err = fmt.Errorf("shortcut: netstack's %s has no %s as is expected: it is not the version that this program was written for", t, name)
		}
		return offset
	}
	f.owned = find(ep, "ownedByUser", reflect.TypeFor[atomicbitops.Uint32]())
	f.snd, f.rcv = find(ep, "snd", nil), find(ep, "rcv", nil)
	if err != nil {
		return f, err
	}
	seq := reflect.TypeFor[seqnum.Value]()
	_, snd, _ := fieldOf(ep, "snd")
	_, rcv, _ := fieldOf(ep, "rcv")
	f.maxSentAck = find(snd.Elem(), "MaxSentAck", seq)
	f.rcvNxt = find(rcv.Elem(), "RcvNxt", seq)
	f.pending = find(rcv.Elem(), "PendingBufUsed", reflect.TypeFor[int]())
	return f, err
}

// fieldOf finds a field of a structure, or of those that are embedded in it.
func fieldOf(t reflect.Type, name string) (offset uintptr, found reflect.Type, ok bool) {
	if t.Kind() != reflect.Struct {
		return 0, nil, false
	}
	f, ok := t.FieldByName(name)
	if !ok {
		return 0, nil, false
	}
	for _, i := range f.Index {
		offset += t.Field(i).Offset
		t = t.Field(i).Type
	}
	return offset, t, true
}

// ownedBy is ep's field owned.
func (f *fields) ownedBy(ep *tcp.Endpoint) *atomicbitops.Uint32 {
	return (*atomicbitops.Uint32)(unsafe.Add(unsafe.Pointer(ep), f.owned))
}

// sender is ep's, nil before its handshake.
func (f *fields) sender(ep *tcp.Endpoint) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(ep), f.snd))
}

// numbers are what ep, whose lock is held, has acknowledged and what it expects
// next, and how many bytes came before their turn. ok is false before its
// handshake.
func (f *fields) numbers(ep *tcp.Endpoint) (maxSentAck *seqnum.Value, rcvNxt seqnum.Value, pending int, ok bool) {
	snd := f.sender(ep)
	rcv := *(*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(ep), f.rcv))
	if snd == nil || rcv == nil {
		return nil, 0, 0, false
	}
	return (*seqnum.Value)(unsafe.Add(snd, f.maxSentAck)),
		*(*seqnum.Value)(unsafe.Add(rcv, f.rcvNxt)), *(*int)(unsafe.Add(rcv, f.pending)), true
}
