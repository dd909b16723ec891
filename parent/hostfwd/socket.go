package hostfwd

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
)

// socket is socket(2); a variable for the tests.
var socket = unix.Socket

// listen makes the socket of one port. It is non-blocking, and for TCP it
// listens. The error names the call and the address.
//
// Where the kernel has no IPv6, :: for both IP versions is 0.0.0.0.
func listen(network string, at netip.AddrPort) (int, error) {
	typ := unix.SOCK_STREAM
	if strings.HasPrefix(network, "udp") {
		typ = unix.SOCK_DGRAM
	}
	fd, err := socket(hostsock.Family(at.Addr()), typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EAFNOSUPPORT) && at.Addr() == netip.IPv6Unspecified() && !strings.HasSuffix(network, "6") {
		return listen(network, netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port()))
	}
	if err != nil {
		return -1, fmt.Errorf("socket for %s: %w", at, err)
	}
	if err := open(fd, network, at); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// open gives a new socket its options and its address.
func open(fd int, network string, at netip.AddrPort) error {
	if at.Addr().Is6() {
		only := 0
		if strings.HasSuffix(network, "6") || !at.Addr().IsUnspecified() {
			only = 1
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only); err != nil {
			return fmt.Errorf("IPV6_V6ONLY for %s: %w", at, err)
		}
	}
	udp := strings.HasPrefix(network, "udp")
	prepare := prepareStream
	if udp {
		prepare = func(fd int) error { return hostsock.WantInfo(fd, at.Addr().Is6()) }
	}
	if err := prepare(fd); err != nil {
		return fmt.Errorf("options for %s: %w", at, err)
	}
	sa := hostsock.Sockaddr(at)
	if sa, ok := sa.(*unix.SockaddrInet6); ok && at.Addr().Zone() != "" && sa.ZoneId == 0 {
		return fmt.Errorf("bind %s: there is no interface %s", at, at.Addr().Zone())
	}
	err := unix.Bind(fd, sa)
	if errors.Is(err, unix.EACCES) {
		return fmt.Errorf("bind %s: %w: it takes CAP_NET_BIND_SERVICE or a lower net.ipv4.ip_unprivileged_port_start", at, err)
	}
	if err != nil {
		return fmt.Errorf("bind %s: %w", at, err)
	}
	if udp {
		return nil
	}
	// The kernel cuts the backlog to net.core.somaxconn.
	if err := unix.Listen(fd, math.MaxInt32); err != nil {
		return fmt.Errorf("listen %s: %w", at, err)
	}
	return nil
}

// prepareStream sets what accepted sockets inherit, and lets connections of
// an earlier socket of this port come to their end.
func prepareStream(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	return hostsock.SetStreamOptions(fd)
}
