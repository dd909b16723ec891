package link

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/ipc/tun"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// A device that is gone before it is watched is reported, once, and nothing
// hangs: neither the poller nor Close.
func TestWatchGone(t *testing.T) {
	for range 50 {
		p, err := poll.New()
		if err != nil {
			t.Fatal(err)
		}
		ran := make(chan error, 1)
		go func() { ran <- p.Run() }()
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fds[1])
		e := New(Config{MTU: 1500, Addrs: []netip.Addr{netip.MustParseAddr("10.0.2.2")}})
		if err := e.Open(fds[0], tun.Features{Name: "gone"}); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 16)
		if err := e.Watch(p, func(err error) { ended <- err }); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			if !errors.Is(err, ErrGone) {
				t.Errorf("%v, want ErrGone", err)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("its end is not reported")
		}
		p.Close()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		e.Close()
		if n := len(ended); n != 0 {
			t.Errorf("its end is reported %d times more", n)
		}
	}
}
