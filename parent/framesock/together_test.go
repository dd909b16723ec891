package framesock

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/link"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// counter is a link.Taker that tells how many frames came at once.
type counter chan int

func (c counter) Frames(frames [][]byte, _ link.Port) { c <- len(frames) }
func (c counter) Gone(link.Port)                      {}
func (c counter) Ended(error)                         {}

// Frames that wait are handed on in one piece: the link joins what belongs
// together.
func TestTogether(t *testing.T) {
	for name, typ := range socketTypes {
		t.Run(name, func(t *testing.T) {
			fds, err := unix.Socketpair(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fds[1])
			p, err := Open(fds[0], "pair", make([]byte, 64))
			if err != nil {
				t.Fatal(err)
			}
			const frames = 5
			for i := range uint32(frames) {
				if err := unix.Sendto(fds[1], frame(60, i), 0, nil); err != nil {
					t.Fatal(err)
				}
			}
			poller, err := poll.New()
			if err != nil {
				t.Fatal(err)
			}
			counts := make(counter, frames)
			if err := p.Start(poller, counts); err != nil {
				t.Fatal(err)
			}
			go poller.Run()
			if n := <-counts; n != frames {
				t.Errorf("%d frames at once, want %d", n, frames)
			}
			poller.Close()
			p.Close()
		})
	}
}
