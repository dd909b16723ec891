package dataplane

import (
	"github.com/slirp4netns-go/slirp4netns/parent/api"
	"github.com/slirp4netns-go/slirp4netns/parent/framesock"
	"github.com/slirp4netns-go/slirp4netns/parent/hostfwd"
	"github.com/slirp4netns-go/slirp4netns/parent/outbound"
	"github.com/slirp4netns-go/slirp4netns/parent/vswitch"
)

// dropped are packets that went nowhere, by the names that
// docs/control-socket.md explains.
func (p *Plane) dropped(fwd hostfwd.Stats) map[string]uint64 {
	l, d := p.link.Stats(), &p.drops
	all := map[string]uint64{
		"malformed":    l.Malformed.Load() + d.Count(outbound.DropMalformed),
		"bad_checksum": l.BadChecksum.Load() + d.Count(outbound.DropChecksum),
		"unsupported":  l.Unsupported.Load() + d.Count(outbound.DropProtocol),
		"ttl_expired":  d.Count(outbound.DropExpired),
		"tap_full":     l.WriteDropped.Load(),

		"host_loopback_disabled": d.Count(outbound.DropHostLoopback),
		"dns_disabled":           d.Count(outbound.DropDNS),
		"nameserver_not_dns":     d.Count(outbound.DropNotDNS),
		"bad_destination":        d.Count(outbound.DropDestination),

		"tcp_full":            d.Count(outbound.DropFull),
		"udp_evicted":         p.udp.Evicted(),
		"forward_udp_evicted": fwd.Evicted,
		"forward_udp_no_port": fwd.NoPort,
	}
	if pair, ok := p.wire.(*framesock.Pair); ok {
		all["malformed"] += pair.Stats().Oversize.Load()
	}
	return all
}

// switched is what the switch of --target-type=bess did; nil without.
func (p *Plane) switched() *api.Switch {
	sw, ok := p.wire.(*vswitch.Switch)
	if !ok {
		return nil
	}
	s := sw.Stats()
	return &api.Switch{
		Peers:     sw.Peers(),
		Refused:   s.Refused.Load(),
		Spoofed:   s.Forbidden.Load(),
		Malformed: s.Malformed.Load() + s.Oversize.Load(),
		QueueFull: s.Full.Load(),
	}
}
