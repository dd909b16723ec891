package vswitch

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/link"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
	"github.com/slirp4netns-go/slirp4netns/parent/sockfile"
)

// toStack is an address of the network stack's.
var toStack = link.OwnMACs(gateway)[0]

// bed is a running switch.
type bed struct {
	*Switch
	t      *testing.T
	path   string
	poller *poll.Poller
	stack  chan []byte // what the network stack was given
}

func newBed(t *testing.T, cfg Config) *bed {
	t.Helper()
	b := newStopped(t, cfg)
	b.run(b)
	return b
}

// newStopped makes one that does not run yet.
func newStopped(t *testing.T, cfg Config) *bed {
	t.Helper()
	b := &bed{t: t, path: filepath.Join(t.TempDir(), "s"), stack: make(chan []byte, 10_000)}
	file, err := sockfile.Listen("socket", unix.SOCK_SEQPACKET, b.path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	b.Switch = New(cfg, file.Take())
	if b.poller, err = poll.New(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.poller.Close()
		b.Switch.Close()
	})
	return b
}

// run has it run, until the test ends.
func (b *bed) run(to link.Taker) {
	b.t.Helper()
	if err := b.Start(b.poller, to); err != nil {
		b.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- b.poller.Run() }()
	b.t.Cleanup(func() {
		b.poller.Close()
		if err := <-ended; err != nil {
			b.t.Errorf("Run: %v", err)
		}
	})
}

// Frames plays the network stack.
func (b *bed) Frames(frames [][]byte, _ link.Port) {
	for _, f := range frames {
		b.stack <- bytes.Clone(f)
	}
}

func (b *bed) Gone(link.Port) {}

// Ended is never to be told.
func (b *bed) Ended(why error) { b.t.Errorf("ended: %v", why) }

// peer is one end of a connection, as a machine has it.
type peer struct {
	t  *testing.T
	fd int
	n  byte
}

// join connects a peer and waits until the switch has it.
func (b *bed) join(n byte) *peer {
	b.t.Helper()
	before := b.Peers()
	p := &peer{b.t, dial(b.t, b.path), n}
	b.t.Cleanup(p.leave)
	b.eventually(fmt.Sprintf("%d peers", before+1), func() bool { return b.Peers() == before+1 })
	return p
}

func dial(t *testing.T, path string) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	return fd
}

// leave closes the connection.
func (p *peer) leave() {
	if p.fd >= 0 {
		unix.Close(p.fd)
		p.fd = -1
	}
}

func (b *bed) eventually(what string, is func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("not %s", what)
		}
	}
}

// send sends a frame of proto 0x1234 with the text.
func (p *peer) send(dst link.MAC, text string) {
	p.t.Helper()
	if err := unix.Sendto(p.fd, frame(dst, mac(p.n), 0x1234, []byte(text)), unix.MSG_NOSIGNAL, nil); err != nil {
		p.t.Fatal(err)
	}
}

// want is the next frame's text.
func (p *peer) want(text string) {
	p.t.Helper()
	if got := p.receive(5000); got != text {
		p.t.Fatalf("peer %d got %q, want %q", p.n, got, text)
	}
}

// receive is the text of the next frame, or "" after the time in ms.
func (p *peer) receive(wait int) string {
	p.t.Helper()
	fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, wait)
		if err == unix.EINTR {
			continue
		}
		if n == 0 {
			return ""
		}
		b := make([]byte, 1<<17)
		n, err = unix.Read(p.fd, b)
		if err != nil || n < 14 {
			p.t.Fatalf("peer %d: %d bytes, %v", p.n, n, err)
		}
		return string(b[14:n])
	}
}

// wantStack is the next frame's text that the stack is given.
func (b *bed) wantStack(text string) {
	b.t.Helper()
	select {
	case f := <-b.stack:
		if string(f[14:]) != text {
			b.t.Fatalf("the stack got %q, want %q", f[14:], text)
		}
	case <-time.After(5 * time.Second):
		b.t.Fatalf("the stack did not get %q", text)
	}
}

func TestSwitching(t *testing.T) {
	b := newBed(t, testConfig())
	one, two, three := b.join(1), b.join(2), b.join(3)
	select {
	case <-b.FirstPeer():
	default:
		t.Error("there was no first peer")
	}

	one.send(broadcast, "everybody")
	two.want("everybody")
	three.want("everybody")
	b.wantStack("everybody")

	two.send(mac(1), "known") // by now
	one.want("known")
	one.send(mac(2), "known, too")
	two.want("known, too")
	three.send(mac(9), "nobody has it")
	one.want("nobody has it")
	two.want("nobody has it")

	own := link.OwnMACs(gateway, nameserver)
	for _, m := range own {
		one.send(m, "for the stack")
		b.wantStack("for the stack")
	}
	one.send(mac(1), "for myself")
	one.send(link.MAC{1, 0, 0x5e, 0, 0, 1}, "last")
	b.wantStack("last")
	two.want("last")
	three.want("last") // and nothing that it had no business with
	if got := one.receive(50); got != "" {
		t.Errorf("peer 1 got %q", got)
	}

	// From the stack.
	out := func(dst link.MAC, text string) bool {
		f := frame(dst, own[0], 0x1234, []byte(text))
		iov := []unix.Iovec{{Base: &f[0]}, {Base: &f[14]}}
		iov[0].SetLen(14)
		iov[1].SetLen(len(f) - 14)
		return b.Send(iov)
	}
	out(mac(3), "to one")
	three.want("to one")
	out(mac(9), "to an unknown one")
	out(broadcast, "to all")
	for _, p := range []*peer{one, two, three} {
		p.want("to an unknown one")
		p.want("to all")
	}
}

// An address that is heard from another peer has moved there.
func TestMoves(t *testing.T) {
	b := newBed(t, testConfig())
	one, two, three := b.join(1), b.join(2), b.join(3)
	one.send(broadcast, "here")
	b.wantStack("here")
	two.n = 1
	two.send(broadcast, "no, here")
	b.wantStack("no, here")
	for _, text := range []string{"here", "no, here"} {
		three.want(text)
	}
	three.send(mac(1), "to the second")
	two.want("here")
	two.want("to the second")
	one.want("no, here")

	// With the first nothing of the second is forgotten, with the second all.
	one.leave()
	b.eventually("two peers", func() bool { return b.Peers() == 2 })
	one = b.join(4)
	three.send(mac(1), "still")
	two.want("still")
	two.leave()
	b.eventually("two peers", func() bool { return b.Peers() == 2 })
	three.send(mac(1), "to whom?")
	one.want("to whom?") // flooded
}

// What a peer may not send goes nowhere.
func TestForbidden(t *testing.T) {
	b := newBed(t, testConfig())
	one, two := b.join(1), b.join(2)
	for _, f := range [][]byte{
		frame(broadcast, link.OwnMACs(gateway)[1], 0x1234, []byte("gateway")),
		frame(broadcast, mac(1), typeARP, arp(1, mac(1), gateway)),
		frame(broadcast, link.MAC{1}, 0x1234, []byte("multicast")),
		frame(broadcast, mac(1), typeIPv4, ipv4(someone, 17, 0, udp(67, 68))),
		{1, 2, 3},
	} {
		if err := unix.Sendto(one.fd, f, 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	one.send(broadcast, "after")
	b.wantStack("after")
	two.want("after")
	if f, m := b.Stats().Forbidden.Load(), b.Stats().Malformed.Load(); f != 3 || m != 2 {
		t.Errorf("%d forbidden and %d malformed, want 3 and 2", f, m)
	}
	// Not learnt either.
	two.send(link.OwnMACs(gateway)[1], "to the gateway")
	b.wantStack("to the gateway")
	if got := one.receive(50); got != "" {
		t.Errorf("peer 1 got %q", got)
	}
}

// A peer that does not read loses its own frames; others are not held up.
func TestSlowPeer(t *testing.T) {
	b := newBed(t, testConfig())
	one, slow, three := b.join(1), b.join(2), b.join(3)
	slow.send(broadcast, "I am here")
	one.want("I am here")
	three.want("I am here")
	three.send(broadcast, "and I")
	one.want("and I")
	big := string(make([]byte, 1400))
	for range 10_000 {
		one.send(mac(2), big)
	}
	start := time.Now()
	for i := range 1000 {
		text := fmt.Sprint(i)
		one.send(mac(3), text)
		three.want(text)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("1000 frames took %v", took)
	}
	if n := b.Stats().Full.Load(); n < 1000 {
		t.Errorf("%d frames were dropped", n)
	}
	// It reads again, and gets what had room, in order; then all that comes.
	if got := slow.receive(5000); got != "and I" {
		t.Errorf("got %d bytes", len(got))
	}
	had := 0
	for slow.receive(200) == big {
		had++
	}
	if had < 300 {
		t.Errorf("%d frames had room", had)
	}
	one.send(mac(2), "again")
	slow.want("again")
}

// There are only so many peers; one that goes makes room.
func TestMaxPeers(t *testing.T) {
	cfg := testConfig()
	cfg.MaxPeers = 2
	b := newBed(t, cfg)
	one := b.join(1)
	b.join(2)
	fd := dial(t, b.path)
	defer unix.Close(fd)
	if n, err := unix.Read(fd, make([]byte, 1)); n != 0 && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("a third one: %d, %v, want the end", n, err)
	}
	if n := b.Stats().Refused.Load(); n != 1 {
		t.Errorf("%d were refused, want 1", n)
	}
	one.leave()
	b.eventually("one peer", func() bool { return b.Peers() == 1 })
	b.join(3).send(broadcast, "hello")
	b.wantStack("hello")
}

func TestTable(t *testing.T) {
	tab := newTable()
	a, b := &port{}, &port{}
	for n := range byte(200) {
		tab.learn(mac(n), a, time.Duration(n)*time.Second)
		tab.learn(mac(255), b, time.Duration(n)*time.Second)
	}
	if len(a.addrs) != maxAddrs || len(tab.entries) != maxAddrs+1 {
		t.Errorf("%d addresses of a peer, %d in all", len(a.addrs), len(tab.entries))
	}
	for m, want := range map[link.MAC]*port{mac(199): a, mac(136): a, mac(135): nil, mac(255): b, mac(254): nil} {
		if got := tab.lookup(m); got != want {
			t.Errorf("%v: %p, want %p", m, got, want)
		}
	}
	tab.learn(mac(254), b, 136*time.Second+ageing+1)
	if tab.lookup(mac(136)) != nil || tab.lookup(mac(137)) != a {
		t.Error("ageing")
	}
	tab.forget(a)
	if tab.lookup(mac(199)) != nil || len(tab.entries) != 2 {
		t.Errorf("%d are left, want 2", len(tab.entries))
	}
}

// A frame that is switched costs no allocation.
func TestAllocations(t *testing.T) {
	b := newBed(t, testConfig())
	one, two := b.join(1), b.join(2)
	two.send(mac(1), "here")
	one.want("here")
	f := frame(mac(2), mac(1), 0x1234, make([]byte, 1500))
	buf := make([]byte, 2000)
	if n := testing.AllocsPerRun(1000, func() {
		unix.Sendto(one.fd, f, 0, nil)
		unix.Read(two.fd, buf)
	}); n > 0 {
		t.Errorf("%v allocations for a frame, want 0", n)
	}
}
