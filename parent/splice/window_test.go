package splice

import (
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// newWindow is a Flow of which there is a window and no more.
func newWindow(t *testing.T, m *Memory) *Flow {
	t.Helper()
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
	})
	t.Cleanup(s.Close)
	r := tcpip.TCPReceiveBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: LeastToHost, Max: 1 << 20}
	if err := s.SetTransportProtocolOption(tcp.ProtocolNumber, &r); err != nil {
		t.Fatal(err)
	}
	ep, err := s.NewEndpoint(tcp.ProtocolNumber, ipv4.ProtocolNumber, new(waiter.Queue))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ep.Close)
	f := &Flow{cfg: &Config{Memory: m}, ep: ep, fd: -1}
	f.initReceiveBuffer()
	return f
}

// carry has the host take n bytes and acknowledge them, in pieces.
func (f *Flow) carry(n int, before func()) {
	for ; n > 0; n -= askEvery {
		before()
		f.fromGuest.Add(askEvery)
		f.openWindow()
	}
}

func nothing() {}

func (f *Flow) window() int64 { return f.ep.SocketOptions().GetReceiveBufferSize() }

// A window opens at first, and wide when the host has taken much without a pause.
func TestWindowOpens(t *testing.T) {
	m := NewMemory()
	f := newWindow(t, m)
	if got := f.window(); got != LeastToHost {
		t.Errorf("%d bytes before the first, want %d", got, LeastToHost)
	}
	f.carry(1, nothing)
	if got, toHost, proven := f.window(), m.toHost.total.Load(), m.proven.total.Load(); got != firstToHost || toHost != firstToHost-LeastToHost || proven != 0 {
		t.Errorf("%d bytes after the first, charged %d and %d, want %d", got, toHost, proven, firstToHost)
	}
	f.carry(provenToHost, nothing)
	if got, toHost, proven := f.window(), m.toHost.total.Load(), m.proven.total.Load(); got != 1<<20 || toHost != 0 || proven != 1<<20-LeastToHost {
		t.Errorf("%d bytes after more, charged %d and %d, want 1 MiB, charged to the larger pool", got, toHost, proven)
	}
	f.closeWindow()
	if n := m.toHost.total.Load() + m.proven.total.Load(); n != 0 {
		t.Errorf("%d bytes are charged at the end", n)
	}
}

// A host that takes something and then nothing for longer than steadyPause, again
// and again, has no use for a large window.
func TestPausesProveNothing(t *testing.T) {
	f := newWindow(t, NewMemory())
	f.carry(16<<20, func() { f.receiveBuffer.steady.since = time.Now().Add(-2 * steadyPause) })
	if got := f.window(); got != firstToHost {
		t.Errorf("%d bytes after 16 MiB with pauses, want %d", got, firstToHost)
	}
	f.carry(16<<20, f.receiveBuffer.steady.stop)
	if got := f.window(); got != 1<<20 {
		t.Errorf("%d bytes after 16 MiB with stops that are no pauses, want 1 MiB", got)
	}
}

// Nor has a guest that sends a little now and then.
func TestLittleProvesNothing(t *testing.T) {
	f := newWindow(t, NewMemory())
	f.carry(16<<20, func() { f.receiveBuffer.at = f.receiveBuffer.at.Add(-provenWithin / 2) })
	if got := f.window(); got != firstToHost {
		t.Errorf("%d bytes after 16 MiB in small portions, want %d", got, firstToHost)
	}
}

// However many windows are proven in turn, the larger pool takes no more than it
// has room for; the others stay with what they have.
func TestProvenBound(t *testing.T) {
	m := NewMemory()
	sum := int64(0)
	for range 4000 {
		f := newWindow(t, m)
		f.carry(2*provenToHost, nothing)
		sum += f.window() - LeastToHost
	}
	toHost, proven := m.toHost.total.Load(), m.proven.total.Load()
	if toHost > poolSize || proven > provenSize || sum != toHost+proven {
		t.Errorf("charged %d and %d for %d bytes, want %d and %d at most", toHost, proven, sum, poolSize, provenSize)
	}
}

// Windows that nobody uses now leave a new one enough; and all together have a
// bound, be there ever so many.
func TestManyWindows(t *testing.T) {
	m := NewMemory()
	const some, many = 200, 1000
	for range some {
		newWindow(t, m).carry(2*provenToHost, nothing)
	}
	f := newWindow(t, m)
	f.carry(1, nothing)
	if got := f.window(); got != firstToHost {
		t.Errorf("%d bytes beside %d, want %d", got, some, firstToHost)
	}
	f.carry(2*provenToHost, nothing)
	if got := f.window(); got != 1<<20 {
		t.Errorf("%d bytes beside %d when used, want 1 MiB", got, some)
	}
	for range many {
		newWindow(t, m).carry(1, nothing)
		newWindow(t, m).carry(2*provenToHost, nothing)
	}
	if n := m.toHost.total.Load(); n > poolSize {
		t.Errorf("%d bytes are charged to those that took little, want %d at most", n, poolSize)
	}
	if n := m.proven.total.Load(); n > provenSize {
		t.Errorf("%d bytes are charged to those that took much, want %d at most", n, provenSize)
	}
}
