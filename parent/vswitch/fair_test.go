package vswitch

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/link"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// flooded is a link.Taker that has a peer send more than is read at once
// whenever something of it is read.
type flooded struct {
	t     *testing.T
	hot   *peer
	other chan struct{} // for what came of another peer
	ended atomic.Bool   // the test: the hot peer stops
}

func (f *flooded) Frames(frames [][]byte, _ link.Port) {
	if link.MAC(frames[0][6:12]) != mac(f.hot.n) {
		f.other <- struct{}{}
		return
	}
	more := frame(toStack, mac(f.hot.n), 0x1234, nil)
	for range 2 * len(frames) {
		if f.ended.Load() {
			return
		}
		err := unix.Sendto(f.hot.fd, more, unix.MSG_DONTWAIT, nil)
		if err == unix.EAGAIN {
			return
		} else if err != nil {
			f.t.Errorf("the hot peer: %v", err)
		}
	}
}

func (f *flooded) Gone(link.Port) {}

func (f *flooded) Ended(why error) { f.t.Errorf("ended: %v", why) }

// eventFunc is a poll.Handler.
type eventFunc func()

func (f eventFunc) HandleEvents(uint32) { f() }

// A peer that has always sent something more is one of many: another peer, the
// other descriptors of the poller, and the timers and goroutines of a program
// with one processor have their turns.
func TestHotPeer(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	b := newStopped(t, testConfig())
	f := &flooded{t: t, hot: &peer{t, dial(t, b.path), 1}, other: make(chan struct{}, 1)}
	t.Cleanup(f.hot.leave) // when nothing runs any more
	cold := &peer{t, dial(t, b.path), 2}
	defer cold.leave()
	f.hot.send(toStack, "")

	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	piped := make(chan struct{}, 1)
	token, err := b.poller.Add(pipe[0], poll.In, eventFunc(func() { piped <- struct{}{} }))
	if err != nil {
		t.Fatal(err)
	}
	defer b.poller.Remove(pipe[0], token)

	b.run(f)
	t.Cleanup(func() { f.ended.Store(true) })
	for round := range 100 {
		cold.send(toStack, "")
		if _, err := unix.Write(pipe[1], []byte{1}); err != nil {
			t.Fatal(err)
		}
		fired := make(chan struct{}, 1)
		time.AfterFunc(time.Millisecond, func() { fired <- struct{}{} })
		for _, c := range []struct {
			who  string
			turn <-chan struct{}
		}{{"the other peer", f.other}, {"the other descriptor", piped}, {"a timer", fired}} {
			select {
			case <-c.turn:
			case <-time.After(5 * time.Second):
				t.Fatalf("round %d: %s had no turn in 5 s", round, c.who)
			}
		}
	}
}
