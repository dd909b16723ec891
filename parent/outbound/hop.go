package outbound

import (
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// hop is what a packet's IP header asks of the host's socket, after the one
// hop that we are.
type hop struct {
	ttl uint8
	tos uint8
	df  bool // don't fragment
}

// hopOf reads it from a packet whose TTL is at least 2.
func hopOf(ip header.IPv4) hop {
	tos, _ := ip.TOS()
	return hop{ttl: ip.TTL() - 1, tos: tos, df: ip.Flags()&header.IPv4FlagDontFragment != 0}
}

// apply sets on fd what differs from the last time. What the host refuses is
// left as it is.
func (h hop) apply(fd int, last *hop) {
	if h == *last {
		return
	}
	if h.ttl != last.ttl {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TTL, int(h.ttl))
	}
	if h.tos != last.tos {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TOS, int(h.tos))
	}
	if h.df != last.df {
		setDF(fd, h.df)
	}
	*last = h
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
