package hostfwd

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
)

// newTestSessions have no socket: only who is whose client.
func newTestSessions(max int) (*sessions, *datagramPort) {
	s := newSessions(&Config{
		Guest4:      Guest{netip.MustParseAddr("10.0.2.2"), netip.MustParsePrefix("10.0.2.0/24")},
		MaxSessions: max,
	})
	return s, &datagramPort{sessions: s, guest: netip.MustParseAddrPort("10.0.2.100:53")}
}

func key(p *datagramPort, client string) sessionKey {
	return sessionKey{port: p, client: netip.MustParseAddrPort(client), asked: hostsock.Local{}}
}

// A session ends when it was idle for 240 s, and not before; what the client
// sends keeps it alive. Then its place on the guest's side is free, too.
func TestSessionExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newTestSessions(10)
		first, _ := s.of(key(p, "198.51.100.7:1000"))
		for range 5 {
			time.Sleep(sessionIdle - time.Second)
			if e, _ := s.of(key(p, "198.51.100.7:1000")); e != first {
				t.Fatal("another session for the same client")
			}
		}
		time.Sleep(sessionIdle / 2)
		s.table.Answered(first.sessionKey, sessionIdle) // the guest has answered
		time.Sleep(sessionIdle - time.Second)
		if n := len(s.byGuest); n != 1 || s.table.Len() != 1 {
			t.Errorf("after %v: %d sessions, want 1", sessionIdle-time.Second, n)
		}
		time.Sleep(10 * time.Second) // the table looks every 5 s
		synctest.Wait()
		if n := len(s.byGuest); n != 0 || s.table.Len() != 0 {
			t.Errorf("after %v: %d sessions, want none", sessionIdle+9*time.Second, n)
		}
		if again, _ := s.of(key(p, "198.51.100.7:1000")); again == first || again.seen != first.seen {
			t.Errorf("a new session is seen as %v, want %v again", again.seen, first.seen)
		}
		s.table.Close()
	})
}

// TestLoopbackSessionExpires: the guest cannot keep a way to a port of the
// host's loopback, which may be another program's by then.
func TestLoopbackSessionExpires(t *testing.T) {
	for client, want := range map[string]int{"127.0.0.1:1000": 0, "[::1]:1000": 0, "198.51.100.7:1000": 1} {
		synctest.Test(t, func(t *testing.T) {
			s, p := newTestSessions(10)
			e, _ := s.of(key(p, client))
			for range 5 {
				time.Sleep(sessionIdle / 2)
				s.heard(e)
			}
			synctest.Wait()
			if n := s.table.Len(); n != want {
				t.Errorf("%s: %d sessions after the guest alone sent for %v, want %d", client, n, 5*sessionIdle/2, want)
			}
			s.table.Close()
		})
	}
}

// Clients that look alike to the guest are told apart by another port.
func TestSessionClash(t *testing.T) {
	s, p := newTestSessions(10)
	defer s.table.Close()
	a, _ := s.of(key(p, "127.0.0.1:1000"))
	b, _ := s.of(key(p, "127.0.0.2:1000"))
	c, _ := s.of(key(p, "[::1]:1000"))
	if a.seen != netip.MustParseAddrPort("10.0.2.2:1000") {
		t.Errorf("the first is seen as %s", a.seen)
	}
	if b.seen == a.seen || c.seen == a.seen || b.seen == c.seen {
		t.Errorf("seen as %s, %s, %s: answers would go astray", a.seen, b.seen, c.seen)
	}
	for _, e := range []*session{b, c} {
		if e.seen.Addr() != a.seen.Addr() || e.seen.Port() < firstEphemeral {
			t.Errorf("seen as %s, want the gateway with an ephemeral port", e.seen)
		}
	}
}

// A client for whom no port is left gets no session, and that is counted.
func TestSessionWithoutPort(t *testing.T) {
	s, p := newTestSessions(10)
	defer s.table.Close()
	gateway := netip.MustParseAddr("10.0.2.2")
	for port := range 65536 {
		s.byGuest[guestPair{p.guest, netip.AddrPortFrom(gateway, uint16(port))}] = new(session)
	}
	for range 3 {
		if e, ok := s.of(key(p, "127.0.0.1:1000")); ok {
			t.Fatalf("a session as %s, which another has", e.seen)
		}
	}
	if n := s.noPort.Load(); n != 3 {
		t.Errorf("%d datagrams were counted, want 3", n)
	}
	// Other clients have other addresses.
	if e, ok := s.of(key(p, "198.51.100.7:1000")); !ok || e.seen.Port() != 1000 {
		t.Errorf("a client of another address: %v, %v", e, ok)
	}
}

// A full table gives up an old session for a new one, on both sides.
func TestSessionsAreBounded(t *testing.T) {
	const most = 16
	s, p := newTestSessions(most)
	defer s.table.Close()
	for i := range 10 * most {
		addr := netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})
		if _, ok := s.of(sessionKey{port: p, client: netip.AddrPortFrom(addr, 1000)}); !ok {
			t.Fatal("no session for a new client")
		}
	}
	if s.table.Len() != most || len(s.byGuest) != most {
		t.Errorf("%d sessions, %d of them known on the guest's side; want %d", s.table.Len(), len(s.byGuest), most)
	}
}
