package outbound

import (
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
)

// maxSYN is the size in bytes of a SYN that is kept as it is. A larger one has
// data, which the guest sends again; 4096 of them would pin 256 MiB.
const maxSYN = 2048

// retain keeps a SYN until its connection can be answered.
func retain(pkt *stack.PacketBuffer) *stack.PacketBuffer {
	if pkt.Size() <= maxSYN {
		return pkt.IncRef()
	}
	ip, tcp := pkt.NetworkHeader().Slice(), pkt.TransportHeader().Slice()
	c := stack.NewPacketBuffer(stack.PacketBufferOptions{ReserveHeaderBytes: len(ip) + len(tcp)})
	copy(c.TransportHeader().Push(len(tcp)), tcp)
	copy(c.NetworkHeader().Push(len(ip)), ip)
	c.NICID = pkt.NICID
	c.NetworkProtocolNumber = pkt.NetworkProtocolNumber
	c.TransportProtocolNumber = pkt.TransportProtocolNumber
	c.RXChecksumValidated = pkt.RXChecksumValidated
	return c
}

// connectedToItself tells whether connect(2) to a port of the host without a
// listener drew that very port as its own, and so met itself: a simultaneous
// open (RFC 9293, section 3.5) that nobody meant. Any address of the
// host will do for that.
func connectedToItself(fd int) bool {
	local, remote := hostsock.Names(fd)
	return local.IsValid() && local == remote
}
