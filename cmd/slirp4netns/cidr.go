package main

import (
	"net/netip"
	"regexp"
	"strconv"
)

// defaultCIDR is the guest's network without --cidr.
const defaultCIDR = "10.0.2.0/24"

// Prefix lengths that --cidr takes. With 25 the network still has room for
// the recommended address, network + 100.
const (
	minPrefixLen = 1
	maxPrefixLen = 25
)

var cidrShape = regexp.MustCompile(`\A((?:[0-9]{1,3}\.){3}[0-9]{1,3})/([0-9]{1,2})\z`)

// parseCIDR reads the argument of --cidr: an IPv4 network, not an address in
// one.
func parseCIDR(s string) (netip.Prefix, error) {
	m := cidrShape.FindStringSubmatch(s)
	if m == nil {
		return netip.Prefix{}, plainFailure("invalid CIDR: " + s + "\n")
	}
	// Like inet_pton(3), this takes no leading zeros.
	addr, err := netip.ParseAddr(m[1])
	if err != nil {
		return netip.Prefix{}, plainFailure("invalid network address: " + m[1] + "\n")
	}
	n, err := strconv.Atoi(m[2])
	if err != nil || n < minPrefixLen || n > maxPrefixLen {
		return netip.Prefix{}, plainFailure("prefix length needs to be 1-25\n")
	}
	network := netip.PrefixFrom(addr, n)
	if network.Masked() != network {
		return netip.Prefix{}, plainFailure(
			"CIDR needs to be a network address like 10.0.2.0/24, not like 10.0.2.100/24\n")
	}
	return network, nil
}
