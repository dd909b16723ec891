package outbound

import (
	"net/netip"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// dialNameserver makes the connection of a guest that asks the nameserver over
// TCP: the other end is in this process, so it is there at once.
func (t *TCP) dialNameserver(id stack.TransportEndpointID) (*flow, unix.Errno) {
	fd, errno := t.cfg.Nameserver()
	if errno != 0 {
		return nil, errno
	}
	return newFlow(t, id, fd, handshaking), 0
}

// Undeliverable tells the guest that what it sent from src to dst cannot be
// delivered, by the error that was met.
func (u *UDP) Undeliverable(src, dst netip.AddrPort, payload []byte, errno unix.Errno) {
	u.unreachable(errno, quoteUDP(src, dst, payload))
}

// Bind applies s to a socket that is about to be connected to dst, as
// --outbound-addr asks.
func (s *Source) Bind(fd int, dst netip.Addr) error { return s.bind(fd, dst) }
