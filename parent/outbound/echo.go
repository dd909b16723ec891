package outbound

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

// Handle takes an ICMP message of the guest. It runs on the link's
// goroutine. Only echo requests go anywhere. An address that does not answer
// the host does not answer the guest: a dead address must look dead.
func (e *Echo) Handle(p link.Packet) {
	msg := p.Bytes[p.HdrLen:]
	src, dst := p.Src(), p.Dst()
	if len(msg) < echoLen || msg[0] != icmpOf(src).request || msg[1] != 0 {
		e.cfg.Policy.Drops.Add(DropProtocol)
		return
	}
	if !p.V6() && checksum.Checksum(msg, 0) != 0xffff {
		e.cfg.Policy.Drops.Add(DropChecksum)
		return // that of ICMPv6 was verified before
	}
	local := e.cfg.Policy.Local(dst)
	if expires(p.TTL(), local) {
		e.cfg.Policy.Drops.Add(DropExpired)
		e.cfg.Sender.Error(e.cfg.Policy.timeExceeded(p.Bytes), p.Bytes)
		return
	}
	if local {
		e.cfg.Sender.EchoReply(dst, src, msg[4:], datagram.Meta{})
		return
	}
	if dst.IsMulticast() || dst == broadcast4 {
		e.cfg.Policy.Drops.Add(DropDestination)
		return // one request shall not have many answers (RFC 1122, section 3.2.2.6)
	}
	host, v := e.cfg.Policy.Route(netip.AddrPortFrom(dst, 0))
	if v != Allow {
		e.unreachable(datagram.CodeNetUnreachable, p.Bytes)
		return
	}
	if errno := e.ping(host.Addr(), msg, p); errno != 0 {
		if code, ok := icmpCode(errno); ok {
			e.unreachable(code, p.Bytes)
		}
	}
}

func (e *Echo) unreachable(code uint8, packet []byte) {
	e.cfg.Sender.Error(e.cfg.Policy.unreachable(code, packet), packet)
}
