package outbound

import (
	"context"
	"net/netip"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
)

// dialNameserver makes the connection of a guest that asks the nameserver over
// TCP. Its other end is in this process; it is in the phase connecting until
// dial, which blocks, has found a resolver. A nil dial has nothing to find.
func (t *TCP) dialNameserver(id stack.TransportEndpointID) (f *flow, dial Dial, errno unix.Errno) {
	fd, dial, errno := t.cfg.Nameserver()
	if errno != 0 {
		return nil, nil, errno
	}
	phase := handshaking
	if dial != nil {
		phase = connecting
	}
	f = newFlow(t, id, fd, phase)
	f.nameserver = true
	f.ctx, f.cancel = context.WithCancel(context.Background())
	return f, dial, 0
}

// awaitNameserver answers the guest's SYN when dial has returned.
func (t *TCP) awaitNameserver(f *flow, dial Dial) {
	defer f.cancel()
	errno := dial(f.ctx)
	if t.take(f) {
		t.settle(f, hostsock.Error{Errno: errno})
	}
}

// Undeliverable tells the guest that what it sent from src to dst cannot be
// delivered, by the error that was met.
func (u *UDP) Undeliverable(src, dst netip.AddrPort, payload []byte, errno unix.Errno) {
	u.unreachable(errno, quoteUDP(src, dst, payload))
}

// Bind applies s to a socket that is about to be connected to dst, as
// --outbound-addr asks.
func (s *Source) Bind(fd int, dst netip.Addr) error { return s.bind(fd, dst) }
