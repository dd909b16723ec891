package lab

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Addresses of the lab (RFC 5737 TEST-NET-2 and RFC 3849). Addresses outside
// of these two prefixes are routed to inet, which forwards nothing: they look
// dead. Those inside that nobody has are unreachable (EHOSTUNREACH).
var (
	HostAddr4 = netip.MustParseAddr("198.51.100.1")
	HostAddr6 = netip.MustParseAddr("2001:db8:100::1")
	InetAddr4 = netip.MustParseAddr("198.51.100.2")
	InetAddr6 = netip.MustParseAddr("2001:db8:100::2")
)

// Lengths of the prefixes between host and inet, in bits.
const (
	prefixLen4 = 24
	prefixLen6 = 64
)

// HostLink is the host's interface towards inet, InetLink inet's own.
const (
	HostLink = "host0"
	InetLink = "inet0"
)

// setUpNetwork makes lo, inet, the veth pair and its routes.
func setUpNetwork() error {
	groups := "0 2147483647"
	if oneUser {
		groups = "0 0" // the only group that is mapped
	}
	if err := sysctl("net.ipv4.ping_group_range", groups); err != nil {
		return err
	}
	if err := linkUp("lo"); err != nil {
		return err
	}
	inet, err := newNamespace(inetPath)
	if err != nil {
		return fmt.Errorf("make inet: %w", err)
	}
	fd, err := os.Open(inetPath)
	if err != nil {
		return err
	}
	defer fd.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = HostLink
	if err := netlink.LinkAdd(&netlink.Veth{
		LinkAttrs:     attrs,
		PeerName:      InetLink,
		PeerNamespace: netlink.NsFd(int(fd.Fd())),
	}); err != nil {
		return fmt.Errorf("make veth %s: %w", HostLink, err)
	}
	if err := configure(HostLink, HostAddr4, HostAddr6); err != nil {
		return err
	}
	if err := inet.Do(func() error {
		if err := sysctl("net.ipv4.ip_forward", "0"); err != nil {
			return err
		}
		if err := linkUp("lo"); err != nil {
			return err
		}
		if err := configure(InetLink, InetAddr4, InetAddr6); err != nil {
			return err
		}
		return awaitLink(InetLink, InetAddr6)
	}); err != nil {
		return fmt.Errorf("inet: %w", err)
	}
	if err := awaitLink(HostLink, HostAddr6); err != nil {
		return err
	}
	return addDefaultRoutes()
}

// newNamespace makes a network namespace that is kept by a mount at path.
func newNamespace(path string) (*Namespace, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, nil, 0o444); err != nil {
		return nil, err
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends here
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("unshare: %w", err)
			return
		}
		self := fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
		done <- unix.Mount(self, path, "", unix.MS_BIND, "")
	}()
	return &Namespace{path: path}, <-done
}

// configure sets one IPv4 and one IPv6 address of a link and brings it up.
func configure(name string, addr4, addr6 netip.Addr) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	// Nobody has their link-local addresses, either: a router without one asks
	// for no neighbour.
	if err := sysctl("net.ipv6.conf."+name+".accept_dad", "0"); err != nil {
		return err
	}
	for _, p := range []netip.Prefix{netip.PrefixFrom(addr4, prefixLen4), netip.PrefixFrom(addr6, prefixLen6)} {
		a := &netlink.Addr{IPNet: &net.IPNet{
			IP:   p.Addr().AsSlice(),
			Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
		}}
		if p.Addr().Is6() {
			a.Flags = unix.IFA_F_NODAD // usable at once
		}
		if err := netlink.AddrAdd(link, a); err != nil {
			return fmt.Errorf("%s: address %v: %w", name, p, err)
		}
	}
	return linkUp(name)
}

// awaitLink returns when the kernel takes and sends packets of a link with an
// IPv6 address, in the calling thread's network namespace. Both begin some
// time after the link is up and has it, and a neighbour whose question came
// before that asks again a second later.
func awaitLink(name string, addr6 netip.Addr) error {
	const patience, pause = 5 * time.Second, 100 * time.Microsecond
	for end := time.Now().Add(patience); ; time.Sleep(pause) {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		routes, err := netlink.RouteGet(addr6.AsSlice())
		if err == nil && routes[0].Type == unix.RTN_LOCAL && link.Attrs().OperState == netlink.OperUp {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s with %v is not in use after %v: it is %v, and has the route %v (%v)", name, addr6, patience, link.Attrs().OperState, routes, err)
		}
	}
}

// addDefaultRoutes sends all else to inet.
func addDefaultRoutes() error {
	link, err := netlink.LinkByName(HostLink)
	if err != nil {
		return err
	}
	for _, gw := range []netip.Addr{InetAddr4, InetAddr6} {
		r := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: gw.AsSlice()}
		if err := netlink.RouteAdd(r); err != nil {
			return fmt.Errorf("default route by %v: %w", gw, err)
		}
	}
	return nil
}

// linkUp brings a link up.
func linkUp(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring up %s: %w", name, err)
	}
	return nil
}
