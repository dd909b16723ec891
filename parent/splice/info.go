package splice

import (
	"time"

	"github.com/slirp4netns-go/slirp4netns/parent/flow"
	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
)

// Info describes the Flow. Who owns it fills in the guest's end, and the state
// of one that is not started. It reports false for one that has just ended.
func (f *Flow) Info() (flow.Info, bool) {
	i := flow.Info{
		Proto:     "tcp",
		State:     f.state(),
		Age:       time.Since(f.since),
		FromGuest: f.fromGuest.Load(),
		ToGuest:   f.intoGuest.Load(),
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		return i, false // its descriptor may be another's
	}
	i.Local, i.Remote = hostsock.Names(f.fd)
	i.Inode = hostsock.Inode(f.fd)
	return i, true
}

func (f *Flow) state() string {
	guest, host := f.toHost.state.Load() == over, f.toGuest.state.Load() == over
	switch {
	case guest && host:
		return "closing"
	case guest:
		return "guest-finished"
	case host:
		return "host-finished"
	}
	return "established"
}
