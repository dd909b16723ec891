package main

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/slirp4netns-go/slirp4netns/parent"
)

const (
	// dnsPort is the port of a resolver for which --dns names none.
	dnsPort = 53
	// maxServers is how many resolvers --dns may name.
	maxServers = 16
	// maxName is the size of a domain name in bytes without the dot at its
	// end, maxLabel that of its parts (RFC 1035, section 2.3.4).
	maxName, maxLabel = 253, 63
)

// nameserver sets what --dns, --dns-loopback and --host-name say.
func (c *commandLine) nameserver(p *parent.Config) error {
	switch loopback := value(c.DNSLoopback); {
	case c.DNSLoopback == nil || loopback == "on":
	case loopback == "off":
		p.DNS.NoLoopback = true
	default:
		return plainFailure(fmt.Sprintf("--dns-loopback must be either \"on\" or \"off\", not %q\n", loopback))
	}
	for _, list := range c.DNS {
		for s := range strings.SplitSeq(list, ",") {
			a, ok := parseServer(s)
			if !ok {
				return plainFailure(fmt.Sprintf("invalid --dns address: %q (want ADDR or ADDR:PORT, for example 192.0.2.1 or [2001:db8::1]:5353)\n", s))
			}
			p.DNS.Servers = append(p.DNS.Servers, a)
		}
	}
	if len(p.DNS.Servers) > maxServers {
		return plainFailure(fmt.Sprintf("--dns names %d addresses, at most %d are used\n", len(p.DNS.Servers), maxServers))
	}
	for _, name := range c.HostName {
		if !isHostName(name) {
			return plainFailure(fmt.Sprintf("invalid --host-name: %q\n", name))
		}
	}
	p.DNS.HostNames = c.HostName
	return c.contradictions(p)
}

// contradictions are options that undo each other.
func (c *commandLine) contradictions(p *parent.Config) error {
	names, servers := len(p.DNS.HostNames) > 0, len(p.DNS.Servers) > 0
	switch {
	case names && p.DisableHostLoopback:
		return plainFailure("--host-name conflicts with --disable-host-loopback: the gateway would answer nothing\n")
	case names && p.DisableDNS:
		return plainFailure("--host-name conflicts with --disable-dns\n")
	case servers && p.DisableDNS:
		return plainFailure("--dns conflicts with --disable-dns\n")
	}
	return nil
}

// parseServer reads an address, with or without a port.
func parseServer(s string) (netip.AddrPort, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(a.Unmap(), dnsPort), true
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil || ap.Port() == 0 {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), true
}

// isHostName tells whether s can be asked for: letters, digits, hyphens and
// underscores, in labels.
func isHostName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if len(s) > maxName {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > maxLabel || strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}
