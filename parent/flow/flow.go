// Package flow describes flows: what list_flows of the control socket shows of
// them. outbound and hostfwd fill it in, dataplane passes it on to api. It
// carries nothing itself.
package flow

import (
	"net/netip"
	"time"
)

// Info is one flow at one moment.
type Info struct {
	Proto string // tcp, udp or icmp
	// Forward tells that it came to a forwarded port; else the guest has
	// started it.
	Forward bool
	// Guest is the guest's end, and Peer the other one as the guest sees it:
	// the zero AddrPort where there are many. Echo has no ports.
	Guest, Peer netip.AddrPort
	// Local and Remote are the ends of the host's socket, Remote the zero
	// AddrPort if it is not connected.
	Local, Remote netip.AddrPort
	State         string
	Age           time.Duration
	// FromGuest and ToGuest are bytes of payload.
	FromGuest, ToGuest uint64
	Inode              uint64 // of the host's socket
}
