package dns

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listener is a resolver on loopback that repeats what it is asked.
func listener(t *testing.T) *net.TCPListener {
	t.Helper()
	l, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	return l
}

func addrOf(l *net.TCPListener) netip.AddrPort {
	a := l.Addr().(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// closedPort is an address at which nobody listens.
func closedPort(t *testing.T) netip.AddrPort {
	t.Helper()
	l := listener(t)
	l.Close()
	return addrOf(l)
}

func newStreams(t *testing.T, max int, names *Names, servers ...netip.AddrPort) *Streams {
	s := NewStreams(StreamsConfig{
		Resolvers: NewResolvers(ResolversConfig{Path: "/nonexistent", Servers: servers, Forbidden: func(netip.Addr) bool { return servers == nil }}),
		Names:     names, Max: max,
	})
	t.Cleanup(s.Close)
	return s
}

// converse sends a message on the guest's end of a connection and wants an
// answer that begins with want.
func converse(t *testing.T, fd int, msg, want []byte) {
	t.Helper()
	f := os.NewFile(uintptr(fd), "guest")
	defer f.Close()
	f.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := f.Write(frame(msg)); err != nil {
		t.Fatal(err)
	}
	var buf []byte
	got, err := readMessage(f, &buf)
	if err != nil || len(got) < 2+len(want) || string(got[2:2+len(want)]) != string(want) {
		t.Errorf("answer %x, %v, want %x", got, err, want)
	}
}

// dial reports what came of looking for a resolver, before anything was asked.
func TestStreamsDial(t *testing.T) {
	good, closed := addrOf(listener(t)), closedPort(t)
	for name, c := range map[string]struct {
		servers []netip.AddrPort
		want    unix.Errno
	}{
		"one":             {[]netip.AddrPort{good}, 0},
		"the second":      {[]netip.AddrPort{closed, good}, 0},
		"refused":         {[]netip.AddrPort{closed}, unix.ECONNREFUSED},
		"refused by both": {[]netip.AddrPort{closed, closedPort(t)}, unix.ECONNREFUSED},
		"no such scope":   {[]netip.AddrPort{netip.MustParseAddrPort("[fe80::1%nosuchlink]:53")}, unix.EINVAL},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStreams(t, 0, nil, c.servers...)
			fd, dial, errno := s.Connect()
			if errno != 0 || dial == nil {
				t.Fatalf("Connect: %v, dial %t", errno, dial != nil)
			}
			if got := dial(t.Context()); got != c.want {
				t.Errorf("dial: %v, want %v", got, c.want)
			}
			if c.want != 0 {
				unix.Close(fd)
				if n := s.Len(); n != 0 {
					t.Errorf("%d connections are left", n)
				}
				return
			}
			converse(t, fd, message(1, false, 0, "question"), message(1, false, 0, "question"))
		})
	}
}

func TestStreamsNoResolver(t *testing.T) {
	s := newStreams(t, 0, nil)
	if fd, _, errno := s.Connect(); errno != unix.ENETUNREACH {
		t.Errorf("Connect: %d, %v, want ENETUNREACH", fd, errno)
	}
}

// Names are answered whether or not there is a resolver.
func TestStreamsNames(t *testing.T) {
	names := NewNames([]string{"host.test"}, netip.MustParseAddr("10.0.2.2"))
	s := newStreams(t, 0, names, closedPort(t))
	fd, dial, errno := s.Connect()
	if errno != 0 || dial != nil {
		t.Fatalf("Connect: %v, dial %t", errno, dial != nil)
	}
	converse(t, fd, question("host.test", 1), []byte{0x12, 0x34, 0x85})
}

// question is a query of type qtype, with the ID 0x1234 and recursion desired.
func question(name string, qtype byte) []byte {
	b := []byte{0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for label := range strings.SplitSeq(name, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0, 0, qtype, 0, 1)
}

// A connection that has to make room ends, also while it looks for a resolver.
func TestStreamsAreBounded(t *testing.T) {
	s := newStreams(t, 2, nil, addrOf(listener(t)))
	var fds []int
	var dials []func(context.Context) unix.Errno
	for range 5 {
		fd, dial, errno := s.Connect()
		if errno != 0 {
			t.Fatal(errno)
		}
		fds, dials = append(fds, fd), append(dials, dial)
		if n := s.Len(); n > 2 {
			t.Errorf("%d connections, want at most 2", n)
		}
	}
	ended := func(fd int) bool {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		unix.Poll(p, 5000)
		return p[0].Revents&unix.POLLRDHUP != 0
	}
	for i := range 3 {
		if !ended(fds[i]) {
			t.Errorf("connection %d of 5 has not ended", i)
		}
		if errno := dials[i](t.Context()); errno != unix.ECONNABORTED {
			t.Errorf("dial of connection %d: %v, want ECONNABORTED", i, errno)
		}
		unix.Close(fds[i])
	}
	for i := 3; i < 5; i++ {
		if errno := dials[i](t.Context()); errno != 0 {
			t.Errorf("dial of connection %d: %v", i, errno)
		}
		converse(t, fds[i], message(1, false, 0, "x"), message(1, false, 0, "x"))
	}
}

// The same while it waits for a resolver that does not answer: at once.
func TestStreamsEvictedDialEnds(t *testing.T) {
	silent := fullListener(t)
	s := newStreams(t, 1, nil, silent)
	dial := func() <-chan unix.Errno {
		fd, dial, errno := s.Connect()
		if errno != 0 {
			t.Fatal(errno)
		}
		t.Cleanup(func() { unix.Close(fd) })
		ended := make(chan unix.Errno, 1)
		go func() { ended <- dial(context.Background()) }()
		return ended
	}
	first := dial()
	time.Sleep(50 * time.Millisecond)
	start := time.Now()
	dial()
	if errno := <-first; errno != unix.ECONNABORTED || time.Since(start) > time.Second {
		t.Errorf("dial of the evicted one: %v after %v, want ECONNABORTED at once", errno, time.Since(start))
	}
	if order, probe := s.health.order([]netip.AddrPort{silent}, time.Now()); probe.IsValid() || len(order) != 1 {
		t.Errorf("the resolver is taken for a dead one: %v, %v", order, probe)
	}
}

// fullListener is a resolver that does not answer: its queue is full, and Linux
// then drops SYNs.
func fullListener(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(sa.(*unix.SockaddrInet4).Port))
	for range 4 {
		c, err := net.DialTimeout("tcp4", a.String(), 100*time.Millisecond)
		if err != nil {
			return a
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the queue does not fill up")
	return a
}

// Looking for a resolver ends with the guest's connection, and is no mark
// against the resolver.
func TestStreamsDialCancelled(t *testing.T) {
	silent := fullListener(t)
	s := newStreams(t, 0, nil, silent)
	fd, dial, errno := s.Connect()
	if errno != 0 {
		t.Fatal(errno)
	}
	defer unix.Close(fd)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	start := time.Now()
	if errno := dial(ctx); errno != unix.ECANCELED {
		t.Errorf("dial: %v, want ECANCELED", errno)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("it took %v", d)
	}
	if order, probe := s.health.order([]netip.AddrPort{silent}, time.Now()); probe.IsValid() || len(order) != 1 {
		t.Errorf("the resolver is taken for a dead one: %v, %v", order, probe)
	}
	if n := s.Len(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}
