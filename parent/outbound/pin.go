package outbound

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// pin is what a datagram socket of IPv6 is bound to, since its ancillary data
// (IPV6_PKTINFO, ipv6(7)) is not enough, other than that of IPv4. For Linux the
// interface that is in it together with an address is a wish: the host's routes
// decide (ip6_route_output_flags). And the address is not that of a ping socket
// (ping_v6_sendmsg). The data is there as well: unlike bind(2), which is done
// once, it keeps an address that the host has lost from being used.
//
// A socket that is bound to an interface does not reach loopback, so a guest's
// port may have one with a pin and one without. The zero pin is none.
type pin struct {
	addr netip.Addr
	link int // the interface's index; 0: any
}

// pin is that of a ping socket for dst; it has a link only if s has one.
func (s *Source) pin(dst netip.Addr) pin {
	if s == nil || !dst.Is6() || IsHostLoopback(dst) {
		return pin{}
	}
	addr, link := s.lookup()
	return pin{addr: addr, link: link}
}

// pinLink is pin for a UDP socket, which takes the address from its ancillary
// data.
func (s *Source) pinLink(dst netip.Addr) pin { return pin{link: s.pin(dst).link} }

// bind binds a new socket.
func (p pin) bind(fd int) error {
	if p.link != 0 {
		// As for a connection, where it is refused the address has to do.
		err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, p.link)
		if err != nil && err != unix.EPERM && err != unix.ENOPROTOOPT {
			return fmt.Errorf("bind to outbound interface %d: %w", p.link, err)
		}
	}
	if p.addr.IsValid() {
		return bindAddr(fd, p.addr)
	}
	return nil
}
