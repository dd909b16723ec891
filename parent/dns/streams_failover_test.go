package dns

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tcpResolver is a resolver on loopback that does with each query what its
// behaviour says.
type tcpResolver struct {
	addr  netip.AddrPort
	asked atomic.Int32
	do    atomic.Pointer[behaviour]
}

// behaviour answers a query on a connection; false closes it.
type behaviour func(c net.Conn, query []byte) bool

func newTCPResolver(t testing.TB, do behaviour) *tcpResolver {
	t.Helper()
	l, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	r := &tcpResolver{addr: addrOf(l)}
	r.become(do)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(c)
		}
	}()
	return r
}

func (r *tcpResolver) become(do behaviour) { r.do.Store(&do) }

func (r *tcpResolver) serve(c net.Conn) {
	defer c.Close()
	var buf []byte
	for {
		b, err := readMessage(c, &buf)
		if err != nil {
			return
		}
		r.asked.Add(1)
		if !(*r.do.Load())(c, bytes.Clone(b[2:])) {
			return
		}
	}
}

// says answers with a text and a code.
func says(text string, rcode byte) behaviour {
	return func(c net.Conn, query []byte) bool {
		_, err := c.Write(frame(message(messageID(query), true, rcode, text)))
		return err == nil
	}
}

// after does it a while later, and reads on meanwhile.
func after(d time.Duration, do behaviour) behaviour {
	return func(c net.Conn, query []byte) bool {
		time.AfterFunc(d, func() { do(c, query) })
		return true
	}
}

func silent(net.Conn, []byte) bool { return true }
func closes(net.Conn, []byte) bool { return false }

// tcpGuest is a guest's end of a connection.
type tcpGuest struct {
	*os.File
	t   testing.TB
	buf []byte
}

func newTCPGuest(t testing.TB, s *Streams) *tcpGuest {
	t.Helper()
	fd, dial, errno := s.Connect()
	if errno == 0 && dial != nil {
		errno = dial(t.Context())
	}
	if errno != 0 {
		t.Fatal(errno)
	}
	g := &tcpGuest{File: os.NewFile(uintptr(fd), "guest"), t: t}
	t.Cleanup(func() { g.Close() })
	return g
}

func (g *tcpGuest) ask(id uint16) {
	g.t.Helper()
	if _, err := g.Write(frame(message(id, false, 0, "question"))); err != nil {
		g.t.Fatal(err)
	}
}

// next is the next message, without its length, or nil if there is none within
// d.
func (g *tcpGuest) next(d time.Duration) []byte {
	g.SetReadDeadline(time.Now().Add(d))
	b, err := readMessage(g, &g.buf)
	if err != nil {
		return nil
	}
	return bytes.Clone(b[2:])
}

// want expects an answer, and returns how long it took.
func (g *tcpGuest) want(id uint16, text string, rcode byte, within time.Duration) time.Duration {
	g.t.Helper()
	start := time.Now()
	if got, want := g.next(within), message(id, true, rcode, text); !bytes.Equal(got, want) {
		g.t.Errorf("after %v: %q, want %q", time.Since(start), got, want)
	}
	return time.Since(start)
}

// A resolver that accepts a connection and does not answer, or has no answer,
// costs what one does that does not accept it: once a second, or nothing.
func TestStreamsFailOver(t *testing.T) {
	for _, c := range []struct {
		name  string
		first behaviour
		takes time.Duration // the first query
		asked int32         // how often the first one is asked
	}{
		{"silent", silent, streamFailover, 1},
		{"closes", closes, 0, 1},
		{"half an answer", func(c net.Conn, _ []byte) bool { c.Write([]byte{0, 40, 1}); return false }, 0, 1},
		{"SERVFAIL", says("a", rcodeServFail), 0, 10},
		{"REFUSED", says("a", rcodeRefused), 0, 10},
		{"NOTIMP", says("a", rcodeNotImp), 0, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, b := newTCPResolver(t, c.first), newTCPResolver(t, says("b", 0))
			s := newStreams(t, 0, nil, a.addr, b.addr)
			for id := range uint16(10) {
				g := newTCPGuest(t, s)
				g.ask(id)
				limit := quick
				if id == 0 {
					limit += c.takes
				}
				took := g.want(id, "b", 0, limit)
				if id == 0 && took < c.takes {
					t.Errorf("the second resolver was asked after %v, want %v", took, c.takes)
				}
				g.Close()
			}
			if n := a.asked.Load(); n != c.asked {
				t.Errorf("the first resolver was asked %d times, want %d", n, c.asked)
			}
		})
	}
}

// The same on one connection, which all queries are sent on at once.
func TestStreamsFailOverPipelined(t *testing.T) {
	const queries = 50
	for name, first := range map[string]behaviour{
		"silent": silent, "closes": closes, "SERVFAIL": says("a", rcodeServFail),
		"some": func(c net.Conn, query []byte) bool {
			if messageID(query)%3 == 0 {
				return says("b", 0)(c, query)
			}
			return true
		},
		"closes after each answer": func(c net.Conn, query []byte) bool {
			says("b", 0)(c, query)
			return false
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := newTCPResolver(t, first), newTCPResolver(t, says("b", 0))
			g := newTCPGuest(t, newStreams(t, 0, nil, a.addr, b.addr))
			for id := range uint16(queries) {
				g.ask(id)
			}
			seen := make(map[uint16]bool)
			for range queries {
				m := g.next(2 * streamFailover)
				if m == nil || seen[messageID(m)] || string(m[headerSize:]) != "b" {
					t.Fatalf("after %d answers: %q", len(seen), m)
				}
				seen[messageID(m)] = true
			}
			if m := g.next(quick); m != nil {
				t.Errorf("one answer more: %q", m)
			}
		})
	}
}

// If nobody has an answer the guest has what the first one says, byte by byte.
func TestStreamsNobodyHasAnAnswer(t *testing.T) {
	a, b, c := newTCPResolver(t, says("a", rcodeServFail)), newTCPResolver(t, says("b", rcodeRefused)), newTCPResolver(t, silent)
	g := newTCPGuest(t, newStreams(t, 0, nil, a.addr, b.addr))
	g.ask(1)
	g.want(1, "a", rcodeServFail, quick)
	g.ask(2)
	g.want(2, "a", rcodeServFail, quick)

	for _, list := range [][]netip.AddrPort{{c.addr, a.addr}, {a.addr, c.addr}, {a.addr, closedPort(t)}} {
		g = newTCPGuest(t, newStreams(t, 0, nil, list...))
		g.ask(3)
		g.want(3, "a", rcodeServFail, 3*streamFailover)
	}
	// That a name does not exist is an answer.
	a.become(says("a", 3))
	g.ask(4)
	g.want(4, "a", 3, quick)
}

// An answer that is late but first counts, and is the only one.
func TestStreamsLateAnswer(t *testing.T) {
	a := newTCPResolver(t, after(streamFailover+quick, says("a", 0)))
	b := newTCPResolver(t, after(streamFailover, says("b", 0)))
	g := newTCPGuest(t, newStreams(t, 0, nil, a.addr, b.addr))
	g.ask(1)
	g.want(1, "a", 0, 2*streamFailover)
	if m := g.next(streamFailover); m != nil {
		t.Errorf("one answer more: %q", m)
	}
	if n := b.asked.Load(); n != 1 {
		t.Errorf("the second resolver was asked %d times, want once", n)
	}
}

// A single resolver has as long as it likes.
func TestStreamsSlowAnswer(t *testing.T) {
	a := newTCPResolver(t, after(3*streamFailover, says("a", 0)))
	g := newTCPGuest(t, newStreams(t, 0, nil, a.addr))
	g.ask(1)
	g.want(1, "a", 0, 4*streamFailover)
}

// A resolver that is back is found without any query having to wait for it, and
// one that only accepts connections is not.
func TestStreamsFailBack(t *testing.T) {
	a, b := newTCPResolver(t, silent), newTCPResolver(t, says("b", 0))
	s := newStreams(t, 0, nil, a.addr, b.addr)
	ask := func(id uint16, text string, within time.Duration) {
		t.Helper()
		g := newTCPGuest(t, s)
		g.ask(id)
		g.want(id, text, 0, within)
	}
	probe := func() {
		s.health.mu.Lock()
		defer s.health.mu.Unlock()
		s.health.states[0].probe = time.Time{}
	}
	ask(1, "b", 2*streamFailover)
	probe()
	ask(2, "b", quick)
	time.Sleep(quick)
	ask(3, "b", quick)
	if n := a.asked.Load(); n != 2 {
		t.Errorf("the first resolver was asked %d times, want once more", n)
	}
	a.become(says("a", 0))
	probe()
	ask(4, "b", quick)
	time.Sleep(quick)
	ask(5, "a", quick)
}

// A query may have many answers: a zone transfer.
func TestStreamsManyAnswers(t *testing.T) {
	const answers = 100
	a := newTCPResolver(t, func(c net.Conn, query []byte) bool {
		for i := range answers {
			says(fmt.Sprint(i), 0)(c, query)
		}
		return true
	})
	g := newTCPGuest(t, newStreams(t, 0, nil, a.addr, newTCPResolver(t, says("b", 0)).addr))
	g.ask(7)
	for i := range answers {
		g.want(7, fmt.Sprint(i), 0, quick)
	}
}

// A guest that has said that it asks nothing more has its answer all the same.
func TestStreamsFailOverAfterTheEnd(t *testing.T) {
	for name, first := range map[string]behaviour{"silent": silent, "closes": closes, "SERVFAIL": says("a", rcodeServFail)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := newTCPResolver(t, first), newTCPResolver(t, says("b", 0))
			s := newStreams(t, 0, nil, a.addr, b.addr)
			g := newTCPGuest(t, s)
			g.ask(1)
			g.ask(2)
			shutWrite(t, g.File)
			got := map[uint16]bool{}
			for range 2 {
				if m := g.next(2 * streamFailover); m != nil {
					got[messageID(m)] = true
				}
			}
			if len(got) != 2 {
				t.Errorf("answers %v, want two", got)
			}
			g.SetReadDeadline(time.Now().Add(5 * time.Second))
			if n, err := g.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("%d bytes more, %v, want the end", n, err)
			}
		})
	}
}

// Nor does the end lose one of many, when the resolver that has the answers is
// some way off.
func TestStreamsFailOverOfManyAfterTheEnd(t *testing.T) {
	const queries = 8
	deaf := func(net.Conn, []byte) bool { time.Sleep(5 * streamFailover); return true }
	off := func(c net.Conn, query []byte) bool { time.Sleep(30 * time.Millisecond); return says("b", 0)(c, query) }
	for name, first := range map[string]behaviour{"silent": deaf, "closes": closes, "SERVFAIL": says("a", rcodeServFail)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := newTCPResolver(t, first), newTCPResolver(t, off)
			g := newTCPGuest(t, newStreams(t, 0, nil, a.addr, b.addr))
			for id := range uint16(queries) {
				g.ask(id)
			}
			shutWrite(t, g.File)
			got := map[uint16]bool{}
			for {
				m := g.next(3 * streamFailover)
				if m == nil {
					break
				}
				got[messageID(m)] = true
			}
			if len(got) != queries {
				t.Errorf("answers %v, want %d", got, queries)
			}
		})
	}
}

// A query that waits for who does not answer goes to the resolvers that there
// are then.
func TestStreamsFollowUnderWay(t *testing.T) {
	a, b := newTCPResolver(t, silent), newTCPResolver(t, says("b", 0))
	s := newStreams(t, 0, nil, a.addr)
	g := newTCPGuest(t, s)
	g.ask(1)
	time.Sleep(streamFailover + quick)
	s.cfg.Resolvers.become(b.addr)
	g.want(1, "b", 0, soon)
	g.ask(2)
	g.want(2, "b", 0, quick)
}

// Little is kept of a guest that asks much where nobody answers, and few
// connections are made for it.
func TestStreamsKeepLittle(t *testing.T) {
	var list []netip.AddrPort
	for range 5 {
		list = append(list, newTCPResolver(t, silent).addr)
	}
	s := newStreams(t, 0, nil, list...)
	g := newTCPGuest(t, s)
	var st *stream
	s.mu.Lock()
	for st = range s.open {
	}
	s.mu.Unlock()
	before := sockets(t)
	for id := range uint16(1000) {
		g.ask(id)
	}
	for end := time.Now().Add(3 * streamFailover); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		st.mu.Lock()
		queries, kept, legs := len(st.queries), st.kept, len(st.legs)
		st.mu.Unlock()
		if queries > maxStreamQueries || kept > maxStreamKept || legs > maxLegs {
			t.Fatalf("%d queries, %d bytes and %d connections are kept", queries, kept, legs)
		}
	}
	// Each has an end here, and one of the resolver's.
	if n := sockets(t) - before; n > 2*(maxLegs+1) {
		t.Errorf("%d sockets more than before", n)
	}
	s.Close()
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.queries) != 0 || len(st.legs) != 0 {
		t.Errorf("%d queries and %d connections are left", len(st.queries), len(st.legs))
	}
}

// sockets counts this process's.
func sockets(t *testing.T) (n int) {
	t.Helper()
	for fd := range 1024 {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFSOCK {
			n++
		}
	}
	return n
}
