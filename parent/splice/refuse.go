package splice

import (
	"io"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// patience is how long a guest may take nothing of what a failed socket has
// left for it, and still write to us without being reset: at least minPatience,
// and four times as long as it has paused before, but no longer than
// maxPatience.
//
// A program of the host that writes to a connection that its peer has reset is
// told at once, and yet reads what its kernel had received before. With us in
// between the guest's kernel has one part of that, and we have the other: a RST
// that waits for the guest to take our part, which may be long or never, leaves
// a guest that writes in write(2); a RST that does not wait destroys our part.
// So what the guest writes is thrown away, which keeps it from blocking, and
// our part is for a guest that takes it, be it slowly: that it does is seen in
// what it acknowledges. One that takes nothing hears the truth as soon as it
// writes, and loses our part, but nothing of what its own kernel had received.
//
// The least time is Linux's TCP_RTO_MIN: a RST is no later than one that was
// lost on the way once. A guest opens its window when a part of its buffer is
// free, a sixteenth or a segment, so who reads slowly pauses for the same time
// again and again.
func (f *Flow) patience() time.Duration {
	return min(max(minPatience, 4*f.longestPause()), maxPatience)
}

const (
	minPatience = 200 * time.Millisecond
	maxPatience = 5 * time.Second
)

// refuse throws away what the guest has written to a connection whose host side
// has failed, and resets it if that is all that it does. It runs on the worker.
func (f *Flow) refuse() {
	res, err := f.ep.Read(io.Discard, tcpip.ReadOptions{})
	f.closeWindow() // all that is in it was read
	if err != nil || res.Count == 0 {
		return
	}
	f.seeProgress()
	if f.idleFor() < f.patience() {
		f.schedule(workRefuse) // there may be more by now
		return
	}
	f.giveUp()
}
