package outbound

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/link"
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
func hopOf(p link.Packet, dst netip.Addr) hop {
	h := hop{tos: p.TOS(), df: p.Whole()}
	ttl := max(1, p.TTL()-1)
	if dst.IsMulticast() {
		h.groupTTL = ttl
	} else {
		h.ttl = ttl
	}
	return h
}

// apply sets on fd what differs from the last time. What the host refuses is
// left as it is.
func (h hop) apply(fd int, o *sockopts, last *hop) {
	if h.ttl != 0 && h.ttl != last.ttl {
		o.set(fd, o.ttl, int(h.ttl))
		last.ttl = h.ttl
	}
	if h.groupTTL != 0 && h.groupTTL != last.groupTTL {
		o.set(fd, o.groupTTL, int(h.groupTTL))
		last.groupTTL = h.groupTTL
	}
	if h.tos != last.tos {
		o.set(fd, o.tos, int(h.tos))
		last.tos = h.tos
	}
	if h.df != last.df {
		o.setDF(fd, h.df)
		last.df = h.df
	}
}

// socketHop is what a new socket has: no value of ttl is 0, so the first
// packet sets it. Its mode is made to match df.
func socketHop(fd int, o *sockopts) hop {
	o.setDF(fd, false)
	return hop{}
}

// sockopts are the socket options of one version of IP: ip(7), ipv6(7).
type sockopts struct {
	level              int
	ttl, groupTTL, tos int
	mtuDiscover        int
	fragment           int // value of mtuDiscover: in fragments if need be
	whole              int // value of mtuDiscover: never in fragments
	recvErr, recvTTL   int
	groupAll           int
}

var (
	sockopts4 = &sockopts{
		level: unix.IPPROTO_IP, ttl: unix.IP_TTL, groupTTL: unix.IP_MULTICAST_TTL, tos: unix.IP_TOS,
		mtuDiscover: unix.IP_MTU_DISCOVER, fragment: unix.IP_PMTUDISC_DONT, whole: unix.IP_PMTUDISC_DO,
		recvErr: unix.IP_RECVERR, recvTTL: unix.IP_RECVTTL, groupAll: unix.IP_MULTICAST_ALL,
	}
	// In IPv6 nobody but the sender makes fragments, so it heeds what routers
	// said of the path's MTU.
	sockopts6 = &sockopts{
		level: unix.IPPROTO_IPV6, ttl: unix.IPV6_UNICAST_HOPS, groupTTL: unix.IPV6_MULTICAST_HOPS, tos: unix.IPV6_TCLASS,
		mtuDiscover: unix.IPV6_MTU_DISCOVER, fragment: unix.IPV6_PMTUDISC_WANT, whole: unix.IPV6_PMTUDISC_DO,
		recvErr: unix.IPV6_RECVERR, recvTTL: unix.IPV6_RECVHOPLIMIT, groupAll: unix.IPV6_MULTICAST_ALL,
	}
)

// sockoptsOf are those of a socket on behalf of the guest's address a.
func sockoptsOf(a netip.Addr) *sockopts {
	if a.Is4() {
		return sockopts4
	}
	return sockopts6
}

// set sets an option that the socket can do without.
func (o *sockopts) set(fd, option, value int) {
	_ = unix.SetsockoptInt(fd, o.level, option, value)
}

// setDF makes fd send with "don't fragment" or in fragments if need be.
func (o *sockopts) setDF(fd int, df bool) {
	mode := o.fragment
	if df {
		mode = o.whole
	}
	o.set(fd, o.mtuDiscover, mode)
}
