package child

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/ipc"
)

// configure brings up lo and the interface called name as c says, and returns
// what the kernel made of it.
//
// slirp4netns: "cannot set MTU" and "cannot set MAC address" are the C
// program's words.
func configure(name string, c *ipc.Configuration) (*ipc.Configuration, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	defer h.Close()
	// The loopback interface is the first of each network namespace.
	lo := &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Name: "lo", Index: 1}}
	if err := h.LinkSetUp(lo); err != nil {
		return nil, fmt.Errorf("cannot bring up lo: %w", err)
	}
	link, err := h.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("cannot find %s: %w", name, err)
	}
	if err := configureLink(h, link, c); err != nil {
		return nil, err
	}
	if c.Ipv6 {
		prepareIPv6(name)
	}
	v4 := c.WithoutIPv6()
	for _, p := range v4.Addresses {
		if err := addAddress(h, link, p); err != nil {
			return nil, err
		}
	}
	if err := h.LinkSetUp(link); err != nil {
		return nil, fmt.Errorf("cannot bring up %s: %w", name, err)
	}
	for _, r := range v4.Routes {
		if err := addRoute(h, link, r); err != nil {
			return nil, err
		}
	}
	if c.Ipv6 {
		if err := configureIPv6(h, link, c); err != nil {
			// Callers enable it wherever they run: IPv4 has to do.
			fmt.Fprintf(os.Stderr, "WARNING: %s has no IPv6: %v\n", name, err)
			c = v4
		}
	}
	link, err = h.LinkByIndex(link.Attrs().Index)
	if err != nil {
		return nil, fmt.Errorf("cannot find %s: %w", name, err)
	}
	return &ipc.Configuration{
		Mtu: uint32(link.Attrs().MTU), Mac: link.Attrs().HardwareAddr,
		Addresses: c.Addresses, Routes: c.Routes, Ipv6: c.Ipv6,
	}, nil
}

func configureLink(h *netlink.Handle, link netlink.Link, c *ipc.Configuration) error {
	if c.Mtu != uint32(link.Attrs().MTU) {
		if err := h.LinkSetMTU(link, int(c.Mtu)); err != nil {
			return fmt.Errorf("cannot set MTU: %w", err)
		}
	}
	if len(c.Mac) > 0 && !bytes.Equal(c.Mac, link.Attrs().HardwareAddr) {
		if err := h.LinkSetHardwareAddr(link, c.Mac); err != nil {
			return fmt.Errorf("cannot set MAC address: %w", err)
		}
	}
	return nil
}

func addAddress(h *netlink.Handle, link netlink.Link, p *ipc.Prefix) error {
	prefix, err := p.Netip()
	if err != nil {
		return err
	}
	if err := h.AddrReplace(link, &netlink.Addr{IPNet: ipNet(prefix)}); err != nil {
		return fmt.Errorf("cannot set address %v: %w", prefix, err)
	}
	return nil
}

// addRoute puts a route before those that are there. One by another interface
// stays, and is in use again when this one has gone with its interface.
func addRoute(h *netlink.Handle, link netlink.Link, r *ipc.Route) error {
	to, gateway, err := r.Netip()
	if err != nil {
		return err
	}
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(to), Gw: gateway.AsSlice()}
	if gateway.Is4() {
		// Its flags (NLM_F_CREATE alone) have the IPv4 of the kernel put it
		// first: there is no such thing as ECMP here.
		err = h.RouteAddEcmp(route)
	} else if err = h.RouteAdd(route); errors.Is(err, unix.EEXIST) {
		route.Priority = usualMetric6 - 1
		err = h.RouteAdd(route)
	}
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("cannot set route to %v via %v: %w", to, gateway, err)
	}
	return nil
}

// usualMetric6 is that of IPv6 routes without one: IP6_RT_PRIO_USER of
// linux/ipv6_route.h.
const usualMetric6 = 1024

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
