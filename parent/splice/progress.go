package splice

import (
	"reflect"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// progress is how the guest takes what is sent to it. It is told from what the
// guest acknowledges: netstack takes more only when half of its buffer is free,
// which may be half a second for a slow guest that has been fast before.
type progress struct {
	// acked is how many bytes the guest had acknowledged when it was last seen
	// to take some.
	acked int64
	// pause is the longest time in which it has taken nothing and then has,
	// since the host's socket failed. What was before tells little: a kernel
	// that is short of memory drops segments, and takes them half a second
	// later, though nobody has read.
	pause time.Duration
}

// mouthful is how many bytes a guest acknowledges at least that has read
// something: it opens its window by a segment or more, of which 536 bytes is the
// smallest (RFC 9293, section 3.7.1). A guest that reads nothing may take single
// bytes, by which netstack asks whether its window is still closed.
const mouthful = 512

// seeProgress looks whether the guest has taken anything since it last did.
func (f *Flow) seeProgress() {
	acked := f.acknowledged()
	f.mu.Lock()
	defer f.mu.Unlock()
	if acked < f.progress.acked+mouthful {
		return
	}
	f.progress.acked = acked
	f.progress.pause = max(f.progress.pause, f.idleFor())
	f.guestTook()
}

// beginProgress makes this moment the one when the guest last took something.
func (f *Flow) beginProgress() {
	acked := f.acknowledged()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.progress.acked = acked
	f.guestTook()
}

// longestPause is the guest's.
func (f *Flow) longestPause() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.progress.pause
}

// acknowledged is how many bytes of those that netstack was given the guest has
// acknowledged. While toGuest is in netstack it may be less than there were.
func (f *Flow) acknowledged() int64 { return int64(f.intoGuest.Load()) - queued(f.ep) }

// queued is how many bytes netstack has that the guest has not acknowledged. It
// has no function that tells; its field is found by its name, which TestQueued
// looks at.
func queued(e tcpip.Endpoint) int64 {
	ep := e.(*tcp.Endpoint)
	ep.LockUser() // who changes it has this lock
	defer ep.UnlockUser()
	return reflect.ValueOf(ep).Elem().FieldByIndex(queuedField).Int()
}

var queuedField = fieldOf(reflect.TypeFor[tcp.Endpoint](), "sndQueueInfo", "TCPSndBufState", "SndBufUsed")

// fieldOf is the index of a field of a field, and so on.
func fieldOf(t reflect.Type, names ...string) (index []int) {
	for _, name := range names {
		f, ok := t.FieldByName(name)
		if !ok {
			panic("splice: netstack's " + t.String() + " has no " + name + ": it is not the version that this program was written for")
		}
		index, t = append(index, f.Index...), f.Type
	}
	return index
}
