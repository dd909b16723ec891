package dns

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

var (
	testGuest = netip.MustParseAddrPort("10.0.2.100:40000")
	testVia   = netip.MustParseAddrPort("10.0.2.3:53")
)

// message is a query or, with the flag, an answer.
func message(id uint16, answer bool, rcode byte, rest string) []byte {
	b := make([]byte, headerSize, headerSize+len(rest))
	binary.BigEndian.PutUint16(b, id)
	if answer {
		b[2] = 0x80
	}
	b[3] = rcode
	return append(b, rest...)
}

// resolver is a server on loopback. What it answers is its text, after delay.
type resolver struct {
	addr netip.AddrPort
	conn *net.UDPConn
	text string

	mu    sync.Mutex
	rcode byte
	delay time.Duration // negative: it does not answer
	asked int
}

func newResolver(t testing.TB, text string) *resolver {
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	a := c.LocalAddr().(*net.UDPAddr).AddrPort()
	r := &resolver{addr: netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), conn: c, text: text}
	go r.serve()
	return r
}

func (r *resolver) serve() {
	b := make([]byte, 65536)
	for {
		n, from, err := r.conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.asked++
		delay, rcode := r.delay, r.rcode
		r.mu.Unlock()
		if n < headerSize || delay < 0 {
			continue
		}
		answer := message(messageID(b), true, rcode, r.text)
		if delay == 0 {
			r.conn.WriteToUDPAddrPort(answer, from)
			continue
		}
		time.AfterFunc(delay, func() { r.conn.WriteToUDPAddrPort(answer, from) })
	}
}

func (r *resolver) set(delay time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.delay = delay
}

func (r *resolver) setRcode(rcode byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rcode = rcode
}

func (r *resolver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// answer is what a guest got.
type answer struct {
	src, dst netip.AddrPort
	text     string
	rcode    byte
	id       uint16
	errno    unix.Errno
}

// rig is a relay, and all that its guests get.
type rig struct {
	*Relay
	t   testing.TB
	got chan answer
}

func (r *rig) UDP(src, dst netip.AddrPort, b []byte, _ datagram.Meta) {
	r.got <- answer{src: src, dst: dst, id: messageID(b), rcode: b[3] & 0xf, text: string(b[headerSize:])}
}

func newRig(t testing.TB, max int, list ...*resolver) *rig {
	var servers []netip.AddrPort
	for _, s := range list {
		servers = append(servers, s.addr)
	}
	p, err := poll.New()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, got: make(chan answer, 1<<16)}
	r.Relay = NewRelay(RelayConfig{
		Resolvers: NewResolvers(ResolversConfig{Path: "/nonexistent", Servers: servers}),
		Poller:    p, Sender: r, Max: max,
		Unreachable: func(guest, via netip.AddrPort, query []byte, errno unix.Errno) {
			r.got <- answer{src: via, dst: guest, errno: errno}
		},
	})
	done := make(chan error)
	go func() { done <- p.Run() }()
	t.Cleanup(func() {
		r.Close()
		if n := r.Len(); n != 0 {
			t.Errorf("%d sockets after Close", n)
		}
		p.Close()
		<-done
	})
	return r
}

func (r *rig) ask(id uint16) { r.Query(testGuest, testVia, message(id, false, 0, "question")) }

func (r *rig) want(a answer, within time.Duration) time.Duration {
	r.t.Helper()
	a.src, a.dst = testVia, testGuest
	start := time.Now()
	select {
	case got := <-r.got:
		if got != a {
			r.t.Errorf("got %+v, want %+v", got, a)
		}
	case <-time.After(within):
		r.t.Errorf("nothing within %v, want %+v", within, a)
	}
	return time.Since(start)
}

func (r *rig) silence(d time.Duration) {
	r.t.Helper()
	select {
	case got := <-r.got:
		r.t.Errorf("got %+v, want nothing", got)
	case <-time.After(d):
	}
}

// quick is far less than a fail-over takes.
const quick = failover / 2

func TestRelay(t *testing.T) {
	a, b := newResolver(t, "a"), newResolver(t, "b")
	r := newRig(t, 0, a, b)
	for id := range uint16(10) {
		r.ask(id)
		r.want(answer{id: id, text: "a"}, quick)
	}
	if n := b.count(); n != 0 {
		t.Errorf("the second resolver was asked %d times", n)
	}
	if n := r.Len(); n != 1 {
		t.Errorf("%d sockets for one port of the guest, want 1", n)
	}
	r.silence(quick)
}

// Answers pass whatever their size.
func TestRelayLargeAnswer(t *testing.T) {
	a := newResolver(t, string(bytes.Repeat([]byte("x"), 65507-headerSize)))
	r := newRig(t, 0, a)
	r.ask(1)
	r.want(answer{id: 1, text: a.text}, quick)
}

// A dead resolver costs one time-out.
func TestRelayFailsOver(t *testing.T) {
	a, b := newResolver(t, "a"), newResolver(t, "b")
	a.set(-1)
	r := newRig(t, 0, a, b)
	start := time.Now()
	r.ask(1)
	r.ask(2)
	r.want(answer{id: 1, text: "b"}, time.Second)
	if d := time.Since(start); d < failover {
		t.Errorf("the second resolver was asked after %v, want %v", d, failover)
	}
	r.want(answer{id: 2, text: "b"}, quick)
	for id := range uint16(100) {
		r.ask(10 + id)
		r.want(answer{id: 10 + id, text: "b"}, quick)
	}
	if n := a.count(); n != 2 {
		t.Errorf("the dead resolver was asked %d times, want 2", n)
	}
}

// A resolver that is back is found without any query having to wait for it.
func TestRelayFailsBack(t *testing.T) {
	a, b := newResolver(t, "a"), newResolver(t, "b")
	a.set(-1)
	r := newRig(t, 0, a, b)
	r.ask(1)
	r.want(answer{id: 1, text: "b"}, time.Second)
	a.set(50 * time.Millisecond)
	r.setNow(time.Now().Add(probeEvery))
	r.ask(2)
	r.want(answer{id: 2, text: "b"}, quick)
	r.silence(quick) // a's answer came too late, but was noticed
	r.ask(3)
	r.want(answer{id: 3, text: "a"}, quick)
}

// setNow moves the relay's clock.
func (r *rig) setNow(now time.Time) {
	d := time.Until(now)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = func() time.Time { return time.Now().Add(d) }
}

// An answer that is late but first counts, and shows that the resolver lives.
func TestRelayLateAnswer(t *testing.T) {
	a, b := newResolver(t, "a"), newResolver(t, "b")
	a.set(failover + quick)
	b.set(-1)
	r := newRig(t, 0, a, b)
	r.ask(1)
	r.want(answer{id: 1, text: "a"}, 2*failover)
	a.set(0)
	r.ask(2)
	r.want(answer{id: 2, text: "a"}, quick)
	if n := b.count(); n != 1 {
		t.Errorf("the second resolver was asked %d times, want 1", n)
	}
}

// A closed port is known at once.
func TestRelayRefused(t *testing.T) {
	a, b := newResolver(t, "a"), newResolver(t, "b")
	a.conn.Close()
	r := newRig(t, 0, a, b)
	r.ask(1)
	r.want(answer{id: 1, text: "b"}, quick)
	r.ask(2)
	r.want(answer{id: 2, text: "b"}, quick)
}

func TestRelayAllRefused(t *testing.T) {
	a, b := newResolver(t, "a"), newResolver(t, "b")
	a.conn.Close()
	b.conn.Close()
	r := newRig(t, 0, a, b)
	for id := range uint16(3) {
		r.ask(id)
		r.want(answer{errno: unix.ECONNREFUSED}, quick)
	}
}

// An unusable family or scope is no reason to wait either.
func TestRelayNoRoute(t *testing.T) {
	scope := &resolver{addr: netip.MustParseAddrPort("[fe80::1%nosuchlink]:53")}
	b := newResolver(t, "b")
	r := newRig(t, 0, scope, b)
	r.ask(1)
	r.want(answer{id: 1, text: "b"}, quick)
}

func TestRelayNoResolver(t *testing.T) {
	r := newRig(t, 0)
	r.cfg.Resolvers.cfg.Forbidden = netip.Addr.IsLoopback // and there is no file
	r.ask(1)
	r.want(answer{errno: unix.ECONNREFUSED}, quick)
}

// A resolver that has no answer is one too many; that of the first one counts
// if nobody has a better one.
func TestRelayServFail(t *testing.T) {
	a, b := newResolver(t, "a"), newResolver(t, "b")
	a.setRcode(rcodeServFail)
	r := newRig(t, 0, a, b)
	r.ask(1)
	r.want(answer{id: 1, text: "b"}, quick)
	b.setRcode(rcodeRefused)
	r.ask(2)
	r.want(answer{id: 2, text: "a", rcode: rcodeServFail}, quick)

	// The other one is silent.
	b.set(-1)
	r.ask(3)
	r.want(answer{id: 3, text: "a", rcode: rcodeServFail}, 2*failover)
	// That a name does not exist is an answer.
	a.setRcode(3)
	b.set(0)
	r.ask(4)
	r.want(answer{id: 4, text: "a", rcode: 3}, quick)
}

// The guest asks again with the same ID.
func TestRelayRepeatedQuery(t *testing.T) {
	a := newResolver(t, "a")
	a.set(-1)
	r := newRig(t, 0, a)
	r.ask(1)
	r.silence(quick)
	a.set(0)
	r.ask(1)
	r.want(answer{id: 1, text: "a"}, quick)
	r.silence(quick)
}

// What is no query, and what nobody asked for, goes nowhere.
func TestRelayNonsense(t *testing.T) {
	a := newResolver(t, "a")
	r := newRig(t, 0, a)
	for _, b := range [][]byte{nil, {1}, make([]byte, headerSize-1), message(1, true, 0, "x")} {
		r.Query(testGuest, testVia, b)
	}
	r.silence(100 * time.Millisecond)
	if n := a.count(); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
}

// Answers from other addresses and with other IDs are not the guest's.
func TestRelayForgery(t *testing.T) {
	a := newResolver(t, "a")
	a.set(-1)
	r := newRig(t, 0, a)
	r.ask(1)
	r.mu.Lock()
	sa, err := unix.Getsockname(r.flows[endpoints{testGuest, testVia}].sockets[0].fd)
	r.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(sa.(*unix.SockaddrInet4).Port))
	forger := newResolver(t, "forged")
	forger.conn.WriteToUDPAddrPort(message(1, true, 0, "forged"), to)
	a.conn.WriteToUDPAddrPort(message(2, true, 0, "wrong ID"), to)
	r.silence(100 * time.Millisecond)
	a.conn.WriteToUDPAddrPort(message(1, true, 0, "true"), to)
	r.want(answer{id: 1, text: "true"}, quick)
}

// The sockets are few, however many ports the guest has and however many
// queries wait, and what is new displaces what is old.
func TestRelayIsBounded(t *testing.T) {
	const max = 16
	a := newResolver(t, "a")
	a.set(-1)
	r := newRig(t, max, a)
	port := func(i int) netip.AddrPort { return netip.AddrPortFrom(testGuest.Addr(), uint16(1000+i)) }
	for i := range 3 * maxQueries {
		r.Query(port(i), testVia, message(1, false, 0, ""))
		if n := r.Len(); n > max {
			t.Fatalf("%d sockets, want at most %d", n, max)
		}
	}
	for i := range 3 * maxQueries {
		r.Query(testGuest, testVia, message(uint16(i), false, 0, ""))
	}
	r.mu.Lock()
	if n := r.waiting.Len() + r.last.Len(); n > maxQueries {
		t.Errorf("%d queries wait, want at most %d", n, maxQueries)
	}
	r.mu.Unlock()
	a.set(0)
	// The resolver still has others to answer, and no room for more meanwhile.
	ask := time.NewTicker(quick)
	defer ask.Stop()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		select {
		case got := <-r.got:
			if got.id == 0xffff {
				return
			}
		case <-ask.C:
			r.ask(0xffff)
		}
	}
	t.Error("a new query is not answered")
}

// Nothing is kept of a query that has been answered, for long.
func TestRelayGoesToSleep(t *testing.T) {
	a, b := newResolver(t, "a"), newResolver(t, "b")
	b.set(-1)
	r := newRig(t, 0, a, b)
	r.ask(1)
	r.want(answer{id: 1, text: "a"}, quick)
	r.setNow(time.Now().Add(patience + linger))
	r.tick()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.flows) != 0 || r.sockets != 0 || !r.wake.IsZero() {
		t.Errorf("%d flows, %d sockets, the next look is at %v: want nothing", len(r.flows), r.sockets, r.wake)
	}
}

// BenchmarkRelay is a query from a new port each time, as C libraries do it,
// with its answer.
func BenchmarkRelay(b *testing.B) {
	a := newResolver(b, "a")
	r := newRig(b, 0, a)
	b.ReportAllocs()
	q := message(1, false, 0, "question of a usual size, that is")
	for i := 0; b.Loop(); i++ {
		r.Query(netip.AddrPortFrom(testGuest.Addr(), uint16(i)), testVia, q)
		<-r.got
	}
}
