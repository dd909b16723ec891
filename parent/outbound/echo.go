package outbound

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

// Handle takes an ICMPv4 message of the guest. It runs on the link's
// goroutine. Only echo requests go anywhere. An address that does not answer
// the host does not answer the guest: a dead address must look dead.
func (e *Echo) Handle(p link.Packet) {
	msg := p.Bytes[p.HdrLen:]
	if len(msg) < header.ICMPv4MinimumSize || checksum.Checksum(msg, 0) != 0xffff {
		return
	}
	if h := header.ICMPv4(msg); h.Type() != header.ICMPv4Echo || h.Code() != 0 {
		return
	}
	ip := header.IPv4(p.Bytes)
	src := netip.AddrFrom4([4]byte(p.Bytes[12:16]))
	dst := netip.AddrFrom4([4]byte(p.Bytes[16:20]))
	local := e.cfg.Policy.Local(dst)
	if expires(ip.TTL(), local) {
		e.cfg.Sender.Error(datagram.ICMPError{Type: datagram.TypeTimeExceeded, Offender: e.cfg.Policy.Gateway}, p.Bytes)
		return
	}
	if local {
		e.cfg.Sender.EchoReply(dst, src, msg[4:], datagram.Meta{})
		return
	}
	if dst.IsMulticast() || dst == broadcast4 {
		return // one request shall not have many answers (RFC 1122, section 3.2.2.6)
	}
	host, v := e.cfg.Policy.Route(netip.AddrPortFrom(dst, 0))
	if v != Allow {
		e.unreachable(datagram.CodeNetUnreachable, p.Bytes)
		return
	}
	if errno := e.ping(src, host.Addr(), msg, p.Bytes); errno != 0 {
		if code, ok := icmpCode(errno); ok {
			e.unreachable(code, p.Bytes)
		}
	}
}

func (e *Echo) unreachable(code uint8, packet []byte) {
	e.cfg.Sender.Error(datagram.ICMPError{Type: datagram.TypeUnreachable, Code: code, Offender: e.cfg.Policy.Gateway}, packet)
}
