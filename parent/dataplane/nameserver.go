package dataplane

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/dns"
	"github.com/slirp4netns-go/slirp4netns/parent/outbound"
)

// DNS is what the nameserver does beyond following resolv.conf(5).
type DNS struct {
	// Servers take the place of resolv.conf's, if there are any.
	Servers []netip.AddrPort
	// NoLoopback keeps queries from resolvers on the host's loopback.
	NoLoopback bool
	// HostNames are answered with the gateway's addresses.
	HostNames []string
}

// newNameserver makes the parts of a Plane that relay queries; sockets is how many
// they may have.
func (p *Plane) newNameserver(cfg Config, source outbound.Sources, sender *datagram.Sender, sockets int) {
	rc := dns.ResolversConfig{Path: cfg.ResolvConf, Servers: cfg.DNS.Servers}
	if cfg.DNS.NoLoopback {
		rc.Forbidden = outbound.IsHostLoopback
	}
	p.resolvers = dns.NewResolvers(rc)
	gateways := []netip.Addr{cfg.Gateway}
	if cfg.EnableIPv6 {
		gateways = append(gateways, cfg.Gateway6)
	}
	names := dns.NewNames(cfg.DNS.HostNames, gateways...)
	// A connection has up to four descriptors: two of a pair, and two to
	// resolvers.
	streams := sockets / 6
	p.relay = dns.NewRelay(dns.RelayConfig{
		Resolvers: p.resolvers, Names: names, Poller: p.poller, Sender: sender,
		Unreachable: func(guest, via netip.AddrPort, query []byte, errno unix.Errno) {
			p.udp.Undeliverable(guest, via, query, errno)
		}, Bind: source.Bind, Max: sockets - 4*streams,
	})
	p.streams = dns.NewStreams(dns.StreamsConfig{
		Resolvers: p.resolvers, Names: names, Bind: source.Bind, Max: max(1, streams),
	})
}
