package hostfwd

import (
	"time"

	"github.com/slirp4netns-go/slirp4netns/parent/flow"
	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
)

// Flows are all connections and sessions.
func (t *Table) Flows() []flow.Info {
	return append(t.tcp.flows(), t.udp.flows()...)
}

func (s *streams) flows() []flow.Info {
	s.mu.Lock()
	all := make([]*conn, 0, len(s.all))
	for c := range s.all {
		all = append(all, c)
	}
	s.mu.Unlock()
	list := make([]flow.Info, 0, len(all))
	for _, c := range all {
		i, ok := c.Info()
		if !ok {
			continue // it has just ended
		}
		i.Forward, i.Guest, i.Peer = true, c.guest, c.peer()
		if s.waits(c) {
			i.State = "connecting"
		}
		list = append(list, i)
	}
	return list
}

func (s *sessions) flows() []flow.Info {
	s.mu.RLock()
	all := make([]*session, 0, len(s.byGuest))
	for _, e := range s.byGuest {
		all = append(all, e)
	}
	s.mu.RUnlock()
	list := make([]flow.Info, 0, len(all))
	for _, e := range all {
		list = append(list, e.info())
	}
	return list
}

func (e *session) info() flow.Info {
	i := flow.Info{
		Proto:     "udp",
		Forward:   true,
		Guest:     e.guest,
		Peer:      e.seen,
		Remote:    e.client,
		State:     "answered",
		Age:       time.Since(e.created),
		FromGuest: e.toClient.Load(),
		ToGuest:   e.toGuest.Load(),
	}
	if i.FromGuest == 0 {
		i.State = "unanswered"
	}
	e.port.life.RLock()
	defer e.port.life.RUnlock()
	if !e.port.closed {
		i.Local, _ = hostsock.Names(e.port.fd)
		i.Inode = hostsock.Inode(e.port.fd)
	}
	return i
}
