package dataplane

import (
	"gvisor.dev/gvisor/pkg/tcpip"

	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// clock is netstack's: it looks at the time some six times for a segment, and
// once is enough.
type clock struct {
	tcpip.Clock // for timers, and the time of day
	poll        *poll.Clock
}

func newClock(c *poll.Clock) clock { return clock{tcpip.NewStdClock(), c} }

// NowMonotonic implements tcpip.Clock.
func (c clock) NowMonotonic() tcpip.MonotonicTime { return tcpip.MonotonicTime{}.Add(c.poll.Now()) }
