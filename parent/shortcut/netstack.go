package shortcut

import (
	"fmt"
	"reflect"
	"unsafe" // also for go:linkname

	"gvisor.dev/gvisor/pkg/atomicbitops"
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

// ownedField is the field of tcp.Endpoint that is 1 while a caller of its
// methods holds the lock. Whoever gives the lock back then looks after the
// segments that came meanwhile, so nobody is woken for them.
const ownedField = "ownedByUser"

// ownedOffset finds ownedField.
func ownedOffset() (uintptr, error) {
	f, ok := reflect.TypeFor[tcp.Endpoint]().FieldByName(ownedField)
	if !ok || f.Type != reflect.TypeFor[atomicbitops.Uint32]() {
		return 0, fmt.Errorf("shortcut: netstack's tcp.Endpoint has no %s of type atomicbitops.Uint32: it is not the version that this program was written for", ownedField)
	}
	return f.Offset, nil
}

// owned is ep's ownedField.
func (in *Input) owned(ep *tcp.Endpoint) *atomicbitops.Uint32 {
	return (*atomicbitops.Uint32)(unsafe.Add(unsafe.Pointer(ep), in.offset))
}
