package dns

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// loopbackSocket is a resolver's socket on loopback, in the test's own hands.
type loopbackSocket struct {
	*net.UDPConn
	addr netip.AddrPort
	buf  []byte
}

func newLoopback(t testing.TB) *loopbackSocket {
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	a := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return &loopbackSocket{UDPConn: c, addr: netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), buf: make([]byte, 65536)}
}

// want reads a query, and tells who has sent it.
func (l *loopbackSocket) want(t *testing.T, query []byte) netip.AddrPort {
	t.Helper()
	l.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, from, err := l.ReadFromUDPAddrPort(l.buf)
	if err != nil || !bytes.Equal(l.buf[:n], query) {
		t.Fatalf("the resolver got % x, %v, want % x", l.buf[:n], err, query)
	}
	return from
}

func (l *loopbackSocket) send(b []byte, to netip.AddrPort) { l.WriteToUDPAddrPort(b, to) }

// FuzzStream: over TCP, in whatever pieces the guest sends, a resolver gets
// each whole message that is not for us, and the guest our answers to those
// that are.
func FuzzStream(f *testing.F) {
	ours := frame(question("gw", 1))
	theirs := frame(message(1, false, 0, "question"))
	f.Add(bytes.Join([][]byte{theirs, ours, theirs}, nil), uint16(1))
	f.Add(bytes.Join([][]byte{ours, theirs[:5]}, nil), uint16(40))
	f.Add([]byte{0, 0, 0, 1, 'x', 0xff, 0xff}, uint16(3))
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { l.Close() })
	s := NewStreams(StreamsConfig{Names: fuzzNames, Resolvers: NewResolvers(ResolversConfig{Path: "/nonexistent", Servers: []netip.AddrPort{netip.MustParseAddrPort(l.Addr().String())}})})
	f.Cleanup(s.Close)
	f.Fuzz(func(t *testing.T, sent []byte, cut uint16) {
		var toResolver, toGuest []byte
		for b := sent; len(b) >= 2; {
			n := 2 + int(binary.BigEndian.Uint16(b))
			if n > len(b) {
				break
			}
			if answer, ok := fuzzNames.Answer(b[2:n]); ok {
				toGuest = append(toGuest, frame(answer)...)
			} else {
				toResolver = append(toResolver, b[:n]...)
			}
			b = b[n:]
		}
		fd, dial, errno := s.Connect()
		if errno != 0 || dial != nil {
			t.Fatalf("connect: %v, or it is dialled without a query", errno)
		}
		guest := os.NewFile(uintptr(fd), "guest")
		defer guest.Close()
		guest.SetDeadline(time.Now().Add(10 * time.Second))
		resolver := make(chan []byte, 1)
		go func() { resolver <- swallow(l, len(toResolver) != 0) }()
		for _, part := range [][]byte{sent[:min(int(cut), len(sent))], sent[min(int(cut), len(sent)):]} {
			if _, err := guest.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		got := make([]byte, len(toGuest))
		if _, err := io.ReadFull(guest, got); err != nil || !bytes.Equal(got, toGuest) {
			t.Errorf("the guest got % x, %v, want % x", got, err, toGuest)
		}
		shutWrite(t, guest)
		if got := <-resolver; !bytes.Equal(got, toResolver) {
			t.Errorf("the resolver got % x, want % x", got, toResolver)
		}
		if n, err := guest.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%d bytes more for the guest, %v", n, err)
		}
	})
}

// FuzzStreamAnswers: whatever a resolver says to a query before it closes the
// connection, in whatever pieces, the guest has its whole messages, and an
// answer: its own, or another resolver's if it has none.
func FuzzStreamAnswers(f *testing.F) {
	const id = 0x1234
	f.Add(frame(message(id, true, 0, "a")), uint16(3))
	f.Add(frame(message(id, true, rcodeServFail, "a")), uint16(0))
	f.Add(append(frame(message(7, true, 0, "x")), frame(message(id, true, rcodeRefused, "a"))...), uint16(20))
	f.Add([]byte{0, 40, 1}, uint16(1))
	f.Add([]byte{0, 0, 0, 1, 'x', 0xff, 0xff}, uint16(3))
	var said atomic.Pointer[[2][]byte]
	a := newTCPResolver(f, func(c net.Conn, _ []byte) bool {
		for _, part := range *said.Load() {
			c.Write(part)
		}
		return false
	})
	b := newTCPResolver(f, says("b", 0))
	f.Fuzz(func(t *testing.T, says []byte, cut uint16) {
		n := min(int(cut), len(says))
		said.Store(&[2][]byte{says[:n], says[n:]})
		s := newStreams(t, 0, nil, a.addr, b.addr)
		g := newTCPGuest(t, s)
		g.ask(id)
		answered := false
		for r := bytes.NewReader(says); ; {
			var buf []byte
			m, err := readMessage(r, &buf)
			if err != nil {
				break
			}
			m = m[2:]
			ours := !answered && len(m) >= headerSize && messageID(m) == id
			if ours && isAnswer(m) && hasNoAnswer(m) {
				break // b is asked, and either may be first from now on
			}
			answered = answered || ours
			if got := g.next(10 * time.Second); !bytes.Equal(got, m) {
				t.Fatalf("the guest got % x, want % x", got, m)
			}
		}
		shutWrite(t, g.File)
		for !answered {
			m := g.next(10 * time.Second)
			if m == nil {
				t.Fatal("no answer")
			}
			answered = bytes.Equal(m, message(id, true, 0, "b"))
		}
		for g.next(10*time.Second) != nil { // what a has said beyond that
		}
	})
}

// swallow takes all of a connection, if there is to be one. It resets it in
// the end, or a hundred thousand of them would leave no port to anybody.
func swallow(l net.Listener, one bool) []byte {
	if !one {
		return nil
	}
	c, err := l.Accept()
	if err != nil {
		return []byte(err.Error())
	}
	defer c.Close()
	c.(*net.TCPConn).SetLinger(0)
	c.SetDeadline(time.Now().Add(10 * time.Second))
	b, err := io.ReadAll(c)
	if err != nil {
		return []byte(err.Error())
	}
	return b
}

// shutWrite ends the guest's direction.
func shutWrite(t *testing.T, f *os.File) {
	t.Helper()
	rc, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := rc.Control(func(fd uintptr) { err = unix.Shutdown(int(fd), unix.SHUT_WR) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}
