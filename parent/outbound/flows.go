package outbound

import (
	"net/netip"
	"sync"
	"time"

	flowinfo "github.com/slirp4netns-go/slirp4netns/parent/flow"
	"github.com/slirp4netns-go/slirp4netns/parent/flowtable"
	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
)

// Flows are all connections, those that are being made included.
func (t *TCP) Flows() []flowinfo.Info {
	t.mu.Lock()
	all := make([]*flow, 0, len(t.flows)+len(t.connecting))
	for f := range t.flows {
		all = append(all, f)
	}
	for _, f := range t.connecting {
		all = append(all, f)
	}
	t.mu.Unlock()
	list := make([]flowinfo.Info, 0, len(all))
	for _, f := range all {
		i, ok := f.Info()
		if !ok {
			continue
		}
		i.Guest = guestAddrPort(f.id.RemoteAddress, f.id.RemotePort)
		i.Peer = guestAddrPort(f.id.LocalAddress, f.id.LocalPort)
		switch {
		case f.Started():
		case f.phase.Load() == connecting:
			i.State = "connecting"
		default:
			i.State = "handshake"
		}
		list = append(list, i)
	}
	return list
}

// Total is the number of connections that were begun.
func (t *TCP) Total() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.total
}

// Flows are all guest addresses and ports with a socket of the host.
func (u *UDP) Flows() []flowinfo.Info {
	var list []flowinfo.Info
	u.table.Each(func(guest netip.AddrPort, f *udpFlow, s flowtable.State) {
		i := describe("udp", s, &f.life, &f.closed, f.fd)
		i.Guest = guest
		i.FromGuest, i.ToGuest = f.fromGuest.Load(), f.toGuest.Load()
		list = append(list, i)
	})
	return list
}

// Total is the number of flows that were begun.
func (u *UDP) Total() uint64 { return u.table.Total() }

// Evicted is the number of flows that ended early to make room.
func (u *UDP) Evicted() uint64 { return u.table.Evicted() }

// Flows are all pings.
func (e *Echo) Flows() []flowinfo.Info {
	var list []flowinfo.Info
	e.table.Each(func(k pingKey, f *pingFlow, s flowtable.State) {
		i := describe("icmp", s, &f.life, &f.closed, f.fd)
		i.Guest = netip.AddrPortFrom(k.guest, k.id)
		list = append(list, i)
	})
	return list
}

// Total is the number of flows that were begun.
func (e *Echo) Total() uint64 { return e.table.Total() }

// describe is what flows with a datagram socket have in common. life guards
// closed and fd.
func describe(proto string, s flowtable.State, life *sync.RWMutex, closed *bool, fd int) flowinfo.Info {
	i := flowinfo.Info{Proto: proto, State: "unanswered", Age: time.Since(s.Since)}
	if s.Answered {
		i.State = "answered"
	}
	life.RLock()
	defer life.RUnlock()
	if !*closed {
		i.Local, i.Remote = hostsock.Names(fd)
		i.Inode = hostsock.Inode(fd)
	}
	return i
}
