package child

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/ipc"
)

// sysctls6 are set to 0 for an interface before it goes up
// (Documentation/networking/ip-sysctl.rst of Linux). The addresses are fixed
// and there is no other host on the link: no second address and route out of
// router advertisements, and no second's wait for somebody else who has ours.
//
// disable_ipv6 is not among them: whoever has set it for the guest means it.
var sysctls6 = []string{"accept_dad", "autoconf", "accept_ra"}

// prepareIPv6 sets them, where /proc can be written to. The interface works
// without, but has a second address then, and its link-local one later.
func prepareIPv6(name string) {
	for _, s := range sysctls6 {
		_ = os.WriteFile(fmt.Sprintf("/proc/sys/net/ipv6/conf/%s/%s", name, s), []byte("0"), 0)
	}
}

// configureIPv6 gives the interface, which is up, its IPv6 addresses and
// routes. They are usable at once.
func configureIPv6(h *netlink.Handle, link netlink.Link, c *ipc.Configuration) error {
	var prefixes []netip.Prefix
	for _, p := range c.Addresses {
		prefix, err := p.Netip()
		if err != nil {
			return err
		}
		if prefix.Addr().Is4() {
			continue
		}
		prefixes = append(prefixes, prefix)
		if err := h.AddrReplace(link, &netlink.Addr{IPNet: ipNet(prefix), Flags: unix.IFA_F_NODAD}); err != nil {
			return fmt.Errorf("cannot set address %v: %w%s", prefix, err, hint(err))
		}
	}
	for _, r := range c.Routes {
		if len(r.GetGateway()) == 4 {
			continue
		}
		if err := addRoute(h, link, r); err != nil {
			return err
		}
	}
	awaitAddresses(h, prefixes)
	return nil
}

// awaitAddresses returns when the kernel takes packets for the addresses, or
// warns that it does not.
// It does so some time after it has said that it has an address: the local
// route is made by a work queue, IFA_F_NODAD or not, and what comes before
// that is dropped. The guest's first connection would wait a second for the
// answer to be sent again.
func awaitAddresses(h *netlink.Handle, prefixes []netip.Prefix) {
	const patience, pause = time.Second, 100 * time.Microsecond
	end := time.Now().Add(patience)
	for _, prefix := range prefixes {
		for !isLocal(h, prefix.Addr()) {
			if time.Now().After(end) {
				fmt.Fprintf(os.Stderr, "WARNING: the kernel does not take packets for %v yet, %v after it was set\n", prefix, patience)
				return
			}
			time.Sleep(pause)
		}
	}
}

// isLocal tells whether the kernel takes packets for a.
func isLocal(h *netlink.Handle, a netip.Addr) bool {
	routes, err := h.RouteGet(a.AsSlice())
	return err == nil && len(routes) == 1 && routes[0].Type == unix.RTN_LOCAL
}

// hint says what may be the matter when the kernel refuses an address.
func hint(err error) string {
	switch {
	case errors.Is(err, unix.EACCES):
		return " (net.ipv6.conf.*.disable_ipv6 is set)"
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EAFNOSUPPORT):
		return " (the kernel has no IPv6)"
	}
	return ""
}
