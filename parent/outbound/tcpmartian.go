package outbound

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

// Refuse takes segments to addresses that no connection can have, which only
// crafted frames have as their destination: all that is the host's loopback
// under another name than the gateway's, and broadcast (RFC 1122, sections
// 3.2.1.3 and 4.2.3.10). netstack would drop them, and the guest wait. It
// reports whether it took p. It runs on the link's goroutine.
//
// slirp4netns: the C program connects all of them to the host's loopback, with
// --disable-host-loopback those in 127.0.0.0/8 and 0.0.0.0/8, too.
func (t *TCP) Refuse(p link.Packet) bool {
	if !isMartian(p.Dst()) {
		return false
	}
	t.cfg.Policy.Drops.Add(DropDestination)
	tcp := header.TCP(p.Bytes[p.HdrLen:])
	if len(tcp) >= header.TCPMinimumSize && !tcp.Flags().Contains(header.TCPFlagRst) {
		t.cfg.Sender.Error(t.cfg.Policy.unreachable(datagram.CodeNetUnreachable, p.Bytes), p.Bytes)
	}
	return true
}

// isMartian tells whether no TCP connection can have the address.
func isMartian(a netip.Addr) bool { return IsHostLoopback(a) || a == broadcast4 || a.Is4In6() }
