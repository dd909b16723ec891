package dataplane

import (
	"bytes"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/framesock"
	"github.com/slirp4netns-go/slirp4netns/parent/link"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// onlooker is a Wire that tells which goroutine frames come on.
type onlooker struct {
	link.Wire
	on chan string
}

func (o onlooker) Start(p *poll.Poller, to link.Taker) error {
	return o.Wire.Start(p, overlooked{to, o.on})
}

type overlooked struct {
	link.Taker
	on chan string
}

func (o overlooked) Frames(frames [][]byte, from link.Port) {
	o.Taker.Frames(frames, from)
	o.on <- goroutine()
}

// goroutine is the name of the one that calls it.
func goroutine() string {
	b := make([]byte, 64)
	name, _, _ := bytes.Cut(b[:runtime.Stack(b, false)], []byte(" ["))
	return string(name)
}

// onEvent is a poll.Handler that tells which goroutine events come on.
type onEvent chan string

func (o onEvent) HandleEvents(uint32) { o <- goroutine() }

// What comes from a socket in place of the TAP is handled where the events of
// the host's sockets are: neither waits for a poller of the other's, which may
// keep the one processor for a millisecond.
func TestWireOnTheLoop(t *testing.T) {
	p, err := New(Config{
		MTU: testMTU, Network: netip.MustParsePrefix("10.0.2.0/24"),
		Gateway: gateway, Nameserver: nameserver, ResolvConf: "/nonexistent",
	})
	if err != nil {
		t.Fatal(err)
	}
	guest, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(guest[1])
	wire, err := framesock.Open(guest[0], "pair", make([]byte, 64))
	if err != nil {
		t.Fatal(err)
	}
	frames, events := make(chan string, 1), make(onEvent, 1)
	if err := p.Connect(onlooker{wire, frames}); err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	host, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(host[0])
	defer unix.Close(host[1])
	token, err := p.poller.Add(host[0], poll.In, events)
	if err != nil {
		t.Fatal(err)
	}
	defer p.poller.Remove(host[0], token)
	await := func(c <-chan string) string {
		select {
		case on := <-c:
			return on
		case <-time.After(5 * time.Second):
			t.Fatal("nothing came")
			return ""
		}
	}
	if err := unix.Sendto(guest[1], make([]byte, 60), 0, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(host[1], []byte{1}); err != nil {
		t.Fatal(err)
	}
	if f, e := await(frames), await(events); f != e {
		t.Errorf("frames come on %s, the host's events on %s", f, e)
	}
}
