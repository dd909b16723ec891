package outbound

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

// Echo answers echo requests (RFC 792). It has no state.
type Echo struct {
	Policy *Policy
	Sender *datagram.Sender
}

// Handle takes an ICMPv4 message of the guest. It runs on the link's
// goroutine. What is not an echo request to one of our addresses goes without
// an answer: a dead address must look dead.
func (e *Echo) Handle(p link.Packet) {
	msg := p.Bytes[p.HdrLen:]
	if len(msg) < header.ICMPv4MinimumSize || checksum.Checksum(msg, 0) != 0xffff {
		return
	}
	if h := header.ICMPv4(msg); h.Type() != header.ICMPv4Echo || h.Code() != 0 {
		return
	}
	src := netip.AddrFrom4([4]byte(p.Bytes[12:16]))
	dst := netip.AddrFrom4([4]byte(p.Bytes[16:20]))
	if header.IPv4(p.Bytes).TTL() == 0 {
		e.Sender.Error(datagram.ICMPError{Type: datagram.TypeTimeExceeded, Offender: e.Policy.Gateway}, p.Bytes)
		return
	}
	if e.Policy.Local(dst) {
		e.Sender.EchoReply(dst, src, msg[4:], datagram.Meta{})
	}
}
