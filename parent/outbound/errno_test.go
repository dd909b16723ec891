package outbound

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
)

// What the guest is told for an error of connect(2) and sendto(2), as an ICMP
// message of its version of IP (docs/fidelity.md).
func TestUnreachableOfErrno(t *testing.T) {
	const silence = -1
	for errno, want := range map[unix.Errno]struct{ code4, code6 int }{
		unix.ENETUNREACH:  {datagram.CodeNetUnreachable, datagram.Code6NoRoute},
		unix.ENETDOWN:     {datagram.CodeNetUnreachable, datagram.Code6NoRoute},
		unix.EHOSTUNREACH: {datagram.CodeHostUnreachable, datagram.Code6AddressUnreachable},
		unix.EHOSTDOWN:    {datagram.CodeHostUnreachable, datagram.Code6AddressUnreachable},
		// A policy: a route "prohibit", a firewall, a BPF program, an LSM.
		unix.EACCES: {datagram.CodeAdminProhibited, datagram.Code6AdminProhibited},
		unix.EPERM:  {datagram.CodeAdminProhibited, datagram.Code6AdminProhibited},
		// Of UDP; a connection that is refused is RST.
		unix.ECONNREFUSED:    {datagram.CodePortUnreachable, datagram.Code6PortUnreachable},
		unix.ENOPROTOOPT:     {datagram.CodeProtocolUnreachable, datagram.Code6PortUnreachable},
		unix.EPROTONOSUPPORT: {datagram.CodeProtocolUnreachable, datagram.Code6PortUnreachable},
		// The host's own trouble.
		unix.EMFILE:        {datagram.CodeNetUnreachable, datagram.Code6NoRoute},
		unix.ENFILE:        {datagram.CodeNetUnreachable, datagram.Code6NoRoute},
		unix.EADDRNOTAVAIL: {datagram.CodeNetUnreachable, datagram.Code6NoRoute},
		unix.EAFNOSUPPORT:  {datagram.CodeNetUnreachable, datagram.Code6NoRoute},
		unix.EINVAL:        {datagram.CodeNetUnreachable, datagram.Code6NoRoute},
		// The guest's own timers do as well.
		unix.ETIMEDOUT: {silence, silence},
		unix.EAGAIN:    {silence, silence},
		unix.EINTR:     {silence, silence},
		unix.ENOBUFS:   {silence, silence},
		unix.ENOMEM:    {silence, silence},
	} {
		for _, guest := range []struct {
			src, dst  string
			want      int
			typ       uint8
			gateway   string
			hdr, from int // bytes of header; where the source is in it
		}{
			{"10.0.2.100:1000", "198.51.100.2:80", want.code4, datagram.TypeUnreachable, "10.0.2.2", header.IPv4MinimumSize, 12},
			{"[fd00::100]:1000", "[2001:db8:100::2]:80", want.code6, datagram.Type6Unreachable, "fd00::2", header.IPv6MinimumSize, 8},
		} {
			var w wire
			u := &UDP{cfg: UDPConfig{Policy: closedPolicy, Sender: datagram.New(&w)}}
			u.Undeliverable(netip.MustParseAddrPort(guest.src), netip.MustParseAddrPort(guest.dst), []byte("hello"), errno)
			if guest.want == silence {
				if len(w.packets) != 0 {
					t.Errorf("%v, to %s: % x, want nothing", errno, guest.dst, w.packets)
				}
				continue
			}
			if len(w.packets) != 1 {
				t.Errorf("%v, to %s: %d packets, want an ICMP error", errno, guest.dst, len(w.packets))
				continue
			}
			b := w.packets[0]
			if icmp := b[guest.hdr:]; icmp[0] != guest.typ || int(icmp[1]) != guest.want {
				t.Errorf("%v, to %s: ICMP %d/%d, want %d/%d", errno, guest.dst, icmp[0], icmp[1], guest.typ, guest.want)
			}
			gateway := netip.MustParseAddr(guest.gateway).AsSlice()
			if from := b[guest.from:][:len(gateway)]; string(from) != string(gateway) {
				t.Errorf("%v, to %s: it comes from %v, want %s", errno, guest.dst, from, guest.gateway)
			}
		}
	}
}
