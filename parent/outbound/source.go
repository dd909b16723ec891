package outbound

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
)

// sourceAge is how old an interface's address may be before it is looked up
// again.
const sourceAge = time.Second

// Source is where packets leave the host from: --outbound-addr. A nil Source
// leaves it to the kernel.
type Source struct {
	addr  netip.Addr // the address, or the last known one of iface
	iface string     // not empty: this interface, whatever its address
	now   func() time.Time

	mu      sync.Mutex
	index   int        // guarded by mu; of iface, 0 when it is not there, or of a link-local address's
	current netip.Addr // guarded by mu; of iface
	checked time.Time  // guarded by mu

	// The ancillary data made last, and what for; guarded by mu.
	ctrl      []byte
	ctrlAddr  netip.Addr
	ctrlIndex int
}

// Sources are where packets leave the host from: one Source for each version of
// IP.
type Sources struct{ IPv4, IPv6 *Source }

// of is the Source of what goes to dst.
func (s Sources) of(dst netip.Addr) *Source {
	if dst.Is4() {
		return s.IPv4
	}
	return s.IPv6
}

// Check tells whether packets can leave from both at all.
func (s Sources) Check() error {
	return errors.Join(s.IPv4.Check(), s.IPv6.Check())
}

// Bind applies the Source of what goes to dst to a socket that is about to be
// connected there.
func (s Sources) Bind(fd int, dst netip.Addr) error { return s.of(dst).bind(fd, dst) }

// Control is the ancillary data that applies the Source of what goes to dst to
// one datagram; it must not be written to.
func (s Sources) Control(dst netip.Addr) []byte { return s.of(dst).control(dst) }

// NewSource makes the Source of an option that was given as an address, or as
// the name of an interface that had it. It is nil when there was no option.
func NewSource(addr netip.Addr, iface string) *Source {
	if !addr.IsValid() && iface == "" {
		return nil
	}
	s := &Source{addr: addr, iface: iface, now: time.Now, current: addr}
	if iface == "" && addr.Is6() && addr.IsLinkLocalUnicast() {
		s.index = owner(addr)
		s.addr = addr.WithZone(strconv.Itoa(s.index))
	}
	return s
}

// owner is the index of the interface that has a link-local address, which means
// nothing without; 0 if none has it.
func owner(addr netip.Addr) int {
	interfaces, err := net.Interfaces()
	if err != nil {
		return 0
	}
	for _, ifi := range interfaces {
		addrs, _ := ifi.Addrs()
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.Equal(addr.AsSlice()) {
				return ifi.Index
			}
		}
	}
	return 0
}

// Check tells whether packets can leave from s at all.
func (s *Source) Check() error {
	if s == nil {
		return nil
	}
	addr, _ := s.lookup()
	fd, err := unix.Socket(hostsock.Family(addr), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("outbound address %s: socket: %w", addr, err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, hostsock.Sockaddr(netip.AddrPortFrom(addr, 0))); err != nil {
		return fmt.Errorf("outbound address %s is not an address of this host: bind: %w", addr.WithZone(""), err)
	}
	return nil
}

// bind applies s to a socket that is about to be used for dst. Loopback is
// exempt: nothing is reached there from another address.
func (s *Source) bind(fd int, dst netip.Addr) error {
	if s == nil || IsHostLoopback(dst) {
		return nil
	}
	addr, _ := s.lookup()
	if s.iface != "" {
		// Since Linux 5.7 no privilege is needed. Where it is refused the
		// address alone has to do. But nothing leaves by another interface
		// because this one is gone.
		if err := unix.BindToDevice(fd, s.iface); err != nil && err != unix.EPERM {
			return fmt.Errorf("bind to outbound interface %s: %w", s.iface, err)
		}
	}
	// connect(2) chooses the port, and so shares it among destinations; bind(2)
	// would give each connection one of its own (ip(7)).
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	return bindAddr(fd, addr)
}

// bindAddr binds a socket to an outbound address.
func bindAddr(fd int, addr netip.Addr) error {
	if err := unix.Bind(fd, hostsock.Sockaddr(netip.AddrPortFrom(addr, 0))); err != nil {
		return fmt.Errorf("bind to outbound address %s: %w", addr, err)
	}
	return nil
}

// control is the ancillary data (IP_PKTINFO, ip(7)) that sends one datagram to
// dst from s. It must not be written to. A datagram socket is not bound, since
// the next datagram may go to loopback; for IPv6 see pin.
func (s *Source) control(dst netip.Addr) []byte {
	if s == nil || IsHostLoopback(dst) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	addr, index := s.lookupLocked()
	if s.ctrl == nil || addr != s.ctrlAddr || index != s.ctrlIndex {
		s.ctrl, s.ctrlAddr, s.ctrlIndex = pktInfo(addr, index), addr, index
	}
	return s.ctrl
}

func pktInfo(addr netip.Addr, index int) []byte {
	if addr.Is4() {
		return unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: int32(index), Spec_dst: addr.As4()})
	}
	return unix.PktInfo6(&unix.Inet6Pktinfo{Ifindex: uint32(index), Addr: addr.As16()})
}

// lookup is the address now, and the interface's index. An interface that is
// gone keeps its last address: packets are then refused by the kernel, and do
// not leave in another way.
func (s *Source) lookup() (netip.Addr, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lookupLocked()
}

func (s *Source) lookupLocked() (netip.Addr, int) {
	if s.iface == "" {
		return s.addr, s.index
	}
	if now := s.now(); s.checked.IsZero() || now.Sub(s.checked) >= sourceAge {
		s.checked = now
		if ifi, err := net.InterfaceByName(s.iface); err == nil {
			s.index = ifi.Index
			if a, ok := addrOf(ifi, s.addr); ok {
				s.current = a
			}
		}
	}
	return s.current, s.index
}

// addrOf is the interface's first address of the family of was. An IPv6
// link-local one, which reaches nothing beyond the link, is it only where was
// is one, too, and there is no other.
func addrOf(ifi *net.Interface, was netip.Addr) (found netip.Addr, ok bool) {
	addrs, err := ifi.Addrs()
	if err != nil {
		return netip.Addr{}, false
	}
	for _, a := range addrs {
		n, isNet := a.(*net.IPNet)
		if !isNet {
			continue
		}
		ip, _ := netip.AddrFromSlice(n.IP)
		ip = ip.Unmap()
		switch {
		case !ip.IsValid() || ip.Is4() != was.Is4():
		case ip.Is4() || !ip.IsLinkLocalUnicast():
			return ip, true
		case was.IsLinkLocalUnicast() && !ok:
			found, ok = ip.WithZone(ifi.Name), true
		}
	}
	return found, ok
}
