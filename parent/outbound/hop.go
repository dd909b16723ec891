package outbound

import (
	"net/netip"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// hop is what a packet's IP header asks of the host's socket, after the one
// hop that we are.
type hop struct {
	ttl      uint8 // 0: not for this packet
	groupTTL uint8 // the same for multicast, which is another option
	tos      uint8
	df       bool // don't fragment
}

// expires tells whether a packet goes no further than to us. What is near needs
// no hop: our own addresses, and multicast, which is sent anew with the same
// TTL as if the guest's program ran on the host.
func expires(ttl uint8, near bool) bool { return ttl == 0 || ttl == 1 && !near }

// hopOf reads it from the header of a packet that does not expire and goes to
// the host's address dst.
func hopOf(ip header.IPv4, dst netip.Addr) hop {
	tos, _ := ip.TOS()
	h := hop{tos: tos, df: ip.Flags()&header.IPv4FlagDontFragment != 0}
	ttl := max(1, ip.TTL()-1)
	if dst.IsMulticast() {
		h.groupTTL = ttl
	} else {
		h.ttl = ttl
	}
	return h
}

// apply sets on fd what differs from the last time. What the host refuses is
// left as it is.
func (h hop) apply(fd int, last *hop) {
	if h.ttl != 0 && h.ttl != last.ttl {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TTL, int(h.ttl))
		last.ttl = h.ttl
	}
	if h.groupTTL != 0 && h.groupTTL != last.groupTTL {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, int(h.groupTTL))
		last.groupTTL = h.groupTTL
	}
	if h.tos != last.tos {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TOS, int(h.tos))
		last.tos = h.tos
	}
	if h.df != last.df {
		setDF(fd, h.df)
		last.df = h.df
	}
}

// setDF makes fd send with "don't fragment" or in fragments if need be.
func setDF(fd int, df bool) {
	mode := unix.IP_PMTUDISC_DONT
	if df {
		mode = unix.IP_PMTUDISC_DO
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, mode)
}

// socketHop is what a new socket has: no value of ttl is 0, so the first
// packet sets it. Its mode is made to match df.
func socketHop(fd int) hop {
	setDF(fd, false)
	return hop{}
}
