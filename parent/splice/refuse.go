package splice

import (
	"io"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// patience is how long a guest may take nothing of what a failed socket has
// left for it, and still write to us without being reset.
//
// A program of the host that writes to a connection that its peer has reset is
// told at once, and yet reads what its kernel had received before. With us in
// between the guest's kernel has one part of that, and we have the other: a RST
// that waits for the guest to take our part, which may be long or never, leaves
// a guest that writes in write(2); a RST that does not wait destroys our part.
// So what the guest writes is thrown away, which keeps it from blocking, and
// our part is for a guest that takes it: if it has not taken any for patience
// and then writes, it hears the truth and loses our part, but nothing of what
// its own kernel had received. The time is Linux's TCP_RTO_MIN: a RST is no
// later than one that was lost on the way once.
const patience = 200 * time.Millisecond

// refuse throws away what the guest has written to a connection whose host side
// has failed, and resets it if that is all that it does. It runs on the worker.
func (f *Flow) refuse() {
	res, err := f.ep.Read(io.Discard, tcpip.ReadOptions{})
	if err != nil || res.Count == 0 {
		return
	}
	if f.idleFor() < patience {
		f.schedule(workRefuse) // there may be more by now
		return
	}
	f.giveUp()
}
