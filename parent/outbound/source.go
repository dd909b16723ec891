package outbound

import (
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
)

// Source is where packets leave the host from: --outbound-addr.
type Source struct {
	Addr      netip.Addr // the zero Addr: the kernel chooses
	Interface string     // not empty: this interface, whatever its address
}

// bind applies s to a socket that is about to be used for dst. Loopback is
// exempt: nothing is reached there from another address.
func (s Source) bind(fd int, dst netip.Addr) error {
	if IsHostLoopback(dst) {
		return nil
	}
	addr := s.Addr
	if s.Interface != "" {
		// Since Linux 5.7 no privilege is needed. Where it is refused the
		// address alone has to do.
		_ = unix.BindToDevice(fd, s.Interface)
		if a, err := interfaceAddr(s.Interface, dst.Is4()); err == nil {
			addr = a
		}
	}
	if !addr.IsValid() {
		return nil
	}
	if err := unix.Bind(fd, hostsock.Sockaddr(netip.AddrPortFrom(addr, 0))); err != nil {
		return fmt.Errorf("bind to outbound address %s: %w", addr, err)
	}
	return nil
}

// isSet tells whether there is anything to apply.
func (s Source) isSet() bool { return s.Addr.IsValid() || s.Interface != "" }

// pktinfo is the ancillary data (IP_PKTINFO, ip(7)) that sends one datagram to
// dst from s. A UDP socket is not bound, since the next datagram may go to
// loopback.
func (s Source) pktinfo(dst netip.Addr) []byte {
	addr, index := s.Addr, 0
	if s.Interface != "" {
		if ifi, err := net.InterfaceByName(s.Interface); err == nil {
			index = ifi.Index
		}
		if a, err := interfaceAddr(s.Interface, dst.Is4()); err == nil {
			addr = a
		}
	}
	if !addr.IsValid() {
		return nil
	}
	if addr.Is4() {
		return unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: int32(index), Spec_dst: addr.As4()})
	}
	return unix.PktInfo6(&unix.Inet6Pktinfo{Ifindex: uint32(index), Addr: addr.As16()})
}

// interfaceAddr is the interface's first address of the family, asked for each
// time, because addresses change.
func interfaceAddr(name string, v4 bool) (netip.Addr, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return netip.Addr{}, err
	}
	addrs, err := ifi.Addrs()
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok && ip.Unmap().Is4() == v4 && !ip.IsLinkLocalUnicast() {
				return ip.Unmap(), nil
			}
		}
	}
	return netip.Addr{}, fmt.Errorf("interface %s has no such address", name)
}
