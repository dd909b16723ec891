package dataplane

import (
	"net/netip"
	"os"
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/slirp4netns-go/slirp4netns/ipc/tun"
	"github.com/slirp4netns-go/slirp4netns/parent/api"
	"github.com/slirp4netns-go/slirp4netns/parent/flow"
	"github.com/slirp4netns-go/slirp4netns/parent/hostfwd"
	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

// features are what a client of the control socket may count on.
var features = []string{
	"forward-ipv6", "forward-port-0", "forward-range", "forward-drain",
	"query-info", "query-stats", "list-flows",
}

// offloads are the names of the bits of TUNSETOFFLOAD.
var offloads = []struct {
	bit  uint32
	name string
}{
	{tun.OffloadCSUM, "csum"}, {tun.OffloadTSO4, "tso4"}, {tun.OffloadTSO6, "tso6"},
	{tun.OffloadUSO4, "uso4"}, {tun.OffloadUSO6, "uso6"},
}

// Info implements api.Backend.
func (c Control) Info() api.Info {
	cfg := &c.p.cfg
	i := api.Info{
		Version:    cfg.Version,
		PID:        os.Getpid(),
		MTU:        cfg.MTU,
		Network:    cfg.Network.String(),
		Gateway:    cfg.Gateway.String(),
		Nameserver: cfg.Nameserver.String(),
		Guest:      cfg.Recommended.String(),
		IPv6:       cfg.EnableIPv6,
		Offloads:   []string{},
		Features:   features,
	}
	if f := c.p.features.Load(); f != nil {
		i.Interface, i.VnetHdr = f.Name, f.VnetHdrLen != 0
		for _, o := range offloads {
			if f.Offload&o.bit != 0 {
				i.Offloads = append(i.Offloads, o.name)
			}
		}
	}
	return i
}

// Stats implements api.Backend.
func (c Control) Stats() api.Stats {
	p := c.p
	l, now, fwd := p.link.Stats(), p.Flows(), p.fwd.Stats()
	queries, answers := p.relay.Counts()
	s := api.Stats{
		Uptime: time.Since(p.since).Seconds(),
		TCP:    api.Protocol{Traffic: traffic(l, link.KindTCP), Flows: api.Flows{Open: now.TCP, Total: p.tcp.Total()}},
		UDP:    api.Protocol{Traffic: traffic(l, link.KindUDP), Flows: api.Flows{Open: now.UDP, Total: p.udp.Total()}},
		ICMP:   api.Protocol{Traffic: traffic(l, link.KindICMP), Flows: api.Flows{Open: now.Echo, Total: p.echo.Total()}},
		Other:  traffic(l, link.KindOther),
		DNS:    api.DNS{Open: now.DNS, Queries: queries, Answers: answers},
		Hostfwd: api.Hostfwd{
			Forwards: len(p.fwd.List()),
			TCP:      count(fwd.TCP),
			UDP:      count(fwd.UDP),
			Refused:  fwd.Refused,
		},
		Orphans: now.Orphans,
		Drops:   p.dropped(fwd),
		Switch:  p.switched(),
		Memory:  memory(),
	}
	return s
}

func count(c hostfwd.Count) api.Flows { return api.Flows{Open: c.Open, Total: c.Total} }

func traffic(s *link.Stats, kind int) api.Traffic {
	return api.Traffic{
		GuestPackets: s.FromGuest[kind].Packets.Load(),
		GuestBytes:   s.FromGuest[kind].Bytes.Load(),
		HostPackets:  s.ToGuest[kind].Packets.Load(),
		HostBytes:    s.ToGuest[kind].Bytes.Load(),
	}
}

// memory asks the runtime in a way that stops nothing.
func memory() api.Memory {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/total:bytes"},
	}
	metrics.Read(samples)
	return api.Memory{
		Heap:       samples[0].Value.Uint64(),
		Total:      samples[1].Value.Uint64(),
		Goroutines: runtime.NumGoroutine(),
	}
}

// Flows implements api.Backend.
func (c Control) Flows() []api.Flow {
	var list []api.Flow
	for _, all := range [][]flow.Info{c.p.tcp.Flows(), c.p.udp.Flows(), c.p.echo.Flows(), c.p.fwd.Flows()} {
		for _, i := range all {
			list = append(list, shown(i))
		}
	}
	return list
}

// shown is i as the control socket shows it.
func shown(i flow.Info) api.Flow {
	f := api.Flow{
		Proto: i.Proto, Origin: "guest",
		Guest: text(i.Guest), Peer: text(i.Peer), Local: text(i.Local), Remote: text(i.Remote),
		State: i.State, Age: i.Age.Seconds(),
		GuestBytes: i.FromGuest, HostBytes: i.ToGuest, Inode: i.Inode,
	}
	if i.Forward {
		f.Origin = "host"
	}
	return f
}

// text is "" for the zero AddrPort.
func text(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
