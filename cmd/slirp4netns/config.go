package main

import (
	"fmt"
	"io"

	"github.com/slirp4netns-go/slirp4netns/parent"
)

// maxTapName is the longest interface name in bytes: IFNAMSIZ of
// linux/if.h less the terminating zero.
const maxTapName = 15

// config checks what the options say together and returns what the parent
// does. The order of the checks is the C program's. Warnings go to stdout.
func (c *commandLine) config(stdout io.Writer) (*parent.Config, error) {
	if c.MACAddress != nil && !c.Configure {
		return nil, usageFailure("--macaddr cannot be specified when --configure or -c is not specified")
	}
	p := &parent.Config{
		Configure:           c.Configure,
		ReadyFD:             c.ReadyFD,
		ExitFD:              c.ExitFD,
		MTU:                 uint32(c.MTU),
		EnableIPv6:          c.EnableIPv6,
		APISocket:           value(c.APISocket),
		APISocketMode:       c.APISocketMode,
		Publish:             c.Publish,
		Version:             version,
		DisableHostLoopback: c.DisableHostLoopback,
		DisableDNS:          c.DisableDNS,
		Sandbox:             c.EnableSandbox,
		Seccomp:             c.EnableSeccomp,
		SeccompAction:       c.SeccompAction,
	}
	if err := c.target(p, stdout); err != nil {
		return nil, err
	}
	if err := c.addresses(p); err != nil {
		return nil, err
	}
	if err := c.nameserver(p); err != nil {
		return nil, err
	}
	return p, nil
}

// target sets Target and TapName from the operands and the types.
func (c *commandLine) target(p *parent.Config, stdout io.Writer) error {
	switch t := value(c.TargetType); {
	case c.TargetType == nil || t == "netns":
		return c.namespaceTarget(p, stdout)
	case t == "bess":
		return c.bessTarget(p, stdout)
	}
	return usageFailure(`--target-type must be either "netns" or "bess"`)
}

// addresses sets what has an address in it.
func (c *commandLine) addresses(p *parent.Config) error {
	cidr := defaultCIDR
	if c.CIDR != nil {
		cidr = *c.CIDR
	}
	var err error
	if p.Network, err = parseCIDR(cidr); err != nil {
		return err
	}
	if p.Network6, err = c.network6(); err != nil {
		return err
	}
	if c.OutboundAddr != nil {
		var ok bool
		if p.Outbound4, ok = resolveOutbound(*c.OutboundAddr, isIPv4); !ok {
			return plainFailure("outbound-addr has to be valid ipv4 address or interface name.")
		}
	}
	if c.OutboundAddr6 != nil {
		var ok bool
		if p.Outbound6, ok = resolveOutbound(*c.OutboundAddr6, isIPv6); !ok {
			// slirp4netns: "ipv4" and "iterface" are the C program's.
			return plainFailure("outbound-addr has to be valid ipv4 address or iterface name.")
		}
	}
	if c.MACAddress != nil {
		if p.MAC, err = parseMAC(*c.MACAddress); err != nil {
			return err
		}
	}
	return nil
}

// warnTooMany is what the C program says of operands that it ignores.
func warnTooMany(w io.Writer) { fmt.Fprintln(w, "WARNING: too many arguments") }

// value is the argument of an option that may not have been given.
func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
