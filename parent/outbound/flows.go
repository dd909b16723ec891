package outbound

import (
	"net/netip"
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
	u.table.Each(func(key udpKey, f *udpFlow, s flowtable.State) {
		i := f.info("udp", s)
		i.Guest = key.guest
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
		i := f.info("icmp", s)
		i.Guest = netip.AddrPortFrom(k.guest, k.id)
		list = append(list, i)
	})
	return list
}

// Total is the number of flows that were begun.
func (e *Echo) Total() uint64 { return e.table.Total() }

// info describes the flow that d is the socket of.
func (d *dgram) info(proto string, s flowtable.State) flowinfo.Info {
	i := flowinfo.Info{Proto: proto, State: "unanswered", Age: time.Since(s.Since)}
	if s.Answered {
		i.State = "answered"
	}
	d.life.RLock()
	defer d.life.RUnlock()
	if !d.closed {
		i.Local, i.Remote = hostsock.Names(d.fd)
		i.Inode = hostsock.Inode(d.fd)
	}
	return i
}
