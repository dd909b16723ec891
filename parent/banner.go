package parent

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
)

// WriteBanner prints what the data plane is about to do, in the C program's
// words, which scripts take apart. It is one Write, so that nobody who reads
// stdout sees half of it.
func (c *Config) WriteBanner(w io.Writer) error {
	var b strings.Builder
	line := func(label, value string) { fmt.Fprintf(&b, "* %-16s %s\n", label+":", value) }

	b.WriteString("Starting slirp\n")
	line("MTU", fmt.Sprint(c.MTU))
	line("Network", c.Network.Masked().Addr().String())
	line("Netmask", netmask(c.Network.Bits()))
	line("Gateway", c.Gateway().String())
	line("DNS", c.Nameserver().String())
	line("DHCP begin", c.DHCPFirst().String())
	line("DHCP end", c.DHCPLast().String())
	line("Recommended IP", c.Recommended().String())
	if c.APISocket != "" {
		line("API Socket", c.APISocket)
	}
	// slirp4netns: the column of these two is one to the right.
	if c.Outbound4.Addr.IsValid() {
		line("Outbound IPv4", " "+c.Outbound4.Addr.String())
	}
	if c.Outbound6.Addr.IsValid() {
		line("Outbound IPv6", " "+inet6String(c.Outbound6.Addr))
	}
	if c.MAC != nil {
		line("MAC address", c.MAC.String())
	}
	if !c.DisableHostLoopback {
		fmt.Fprintf(&b, "WARNING: 127.0.0.1:* on the host is accessible as %s "+
			"(set --disable-host-loopback to prohibit connecting to 127.0.0.1:*)\n", c.Gateway())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// netmask is a prefix length of IPv4 in dotted notation.
func netmask(bits int) string { return net.IP(net.CIDRMask(bits, 32)).String() }

// inet6String is an IPv6 address as inet_ntop(3) writes it: without the
// zone, and with the last four bytes dotted not only in v4-mapped addresses
// but in v4-compatible ones (::1.2.3.4) too.
func inet6String(a netip.Addr) string {
	a = a.WithZone("")
	b := a.As16()
	compatible := [12]byte(b[:12]) == [12]byte{} && (b[12] != 0 || b[13] != 0)
	if compatible {
		return "::" + netip.AddrFrom4([4]byte(b[12:])).String()
	}
	return a.String()
}
