package vswitch

import (
	"testing"

	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

// counter is a link.Taker that tells how many frames came at once.
type counter chan int

func (c counter) Frames(frames [][]byte, _ link.Port) { c <- len(frames) }
func (c counter) Gone(link.Port)                      {}
func (c counter) Ended(error)                         {}

// Frames of a peer that wait are handed to the stack in one piece: the link
// joins what belongs together.
func TestTogether(t *testing.T) {
	b := newStopped(t, testConfig())
	p := &peer{t, dial(t, b.path), 1}
	defer p.leave()
	const frames = 5
	for range frames {
		p.send(toStack, "for the stack")
	}
	counts := make(counter, frames)
	b.run(counts)
	if n := <-counts; n != frames {
		t.Errorf("%d frames at once, want %d", n, frames)
	}
}
