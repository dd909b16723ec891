package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/slirp4netns-go/slirp4netns/parent"
)

// parsePublish reads [HOSTADDR:][HOSTPORT]:GUESTPORT[/PROTOCOL] or GUESTPORT
// alone, as Docker and Podman write it. Ports may be ranges of equal length.
// Without HOSTADDR all addresses of the host are meant, of both IP versions;
// without HOSTPORT a free port.
func parsePublish(s string) (parent.Publish, error) {
	p := parent.Publish{Network: "tcp"}
	ports, network, given := strings.Cut(s, "/")
	if given {
		p.Network = network
	}
	switch p.Network {
	case "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6":
	default:
		return p, fmt.Errorf("protocol %q, want tcp or udp", p.Network)
	}
	rest, guest := "", ports
	if i := strings.LastIndexByte(ports, ':'); i >= 0 {
		rest, guest = ports[:i], ports[i+1:]
	}
	first, last, err := portRange(guest)
	if err != nil {
		return p, fmt.Errorf("guest port: %w", err)
	}
	p.GuestPort = first
	addr, host := "", rest
	if i := strings.LastIndexByte(rest, ':'); i >= 0 {
		addr, host = rest[:i], rest[i+1:]
	}
	a, err := publishAddr(p.Network, addr)
	if err != nil {
		return p, err
	}
	if host == "" {
		if first != last {
			return p, fmt.Errorf("a range of guest ports takes a range of host ports")
		}
		p.Host = netip.AddrPortFrom(a, 0)
		return p, nil
	}
	from, to, err := portRange(host)
	if err != nil {
		return p, fmt.Errorf("host port: %w", err)
	}
	if to-from != last-first {
		return p, fmt.Errorf("%d host ports, but %d guest ports", to-from+1, last-first+1)
	}
	p.Host = netip.AddrPortFrom(a, from)
	if from != to {
		p.End = to
	}
	return p, nil
}

// publishAddr is the host's address, which for IPv6 is in brackets.
func publishAddr(network, s string) (netip.Addr, error) {
	v4, v6 := strings.HasSuffix(network, "4"), strings.HasSuffix(network, "6")
	if s == "" {
		if v4 {
			return netip.IPv4Unspecified(), nil
		}
		return netip.IPv6Unspecified(), nil // IPv4 as well, unless v6
	}
	inside, bracket := strings.CutPrefix(s, "[")
	if bracket {
		var closed bool
		if inside, closed = strings.CutSuffix(inside, "]"); !closed {
			return netip.Addr{}, fmt.Errorf("address %q has no closing bracket", s)
		}
	}
	a, err := netip.ParseAddr(inside)
	if err != nil || a.Is4() == bracket {
		return a, fmt.Errorf("address %q, want an IPv4 address or an IPv6 address in brackets", s)
	}
	a = a.Unmap()
	if v4 && !a.Is4() || v6 && a.Is4() {
		return a, fmt.Errorf("address %q is none for %s", s, network)
	}
	return a, nil
}

// portRange reads a port or a range of ports.
func portRange(s string) (first, last uint16, err error) {
	from, to, isRange := strings.Cut(s, "-")
	if first, err = port(from); err != nil {
		return 0, 0, err
	}
	if !isRange {
		return first, first, nil
	}
	if last, err = port(to); err != nil {
		return 0, 0, err
	}
	if last < first {
		return 0, 0, fmt.Errorf("the range %s ends before it begins", s)
	}
	return first, last, nil
}

func port(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 || s[0] == '+' {
		return 0, fmt.Errorf("%q, want 1 to 65535", s)
	}
	return uint16(n), nil
}
