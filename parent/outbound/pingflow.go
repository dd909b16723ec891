package outbound

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

// pingFlow is one host socket: all requests with one identifier.
type pingFlow struct {
	dgram
	echo *Echo
	key  pingKey
	icmp *icmp
	pin  pin
	raw  bool
	id   uint16 // the identifier on the host's side of a raw socket
}

// close ends the flow.
func (f *pingFlow) close() {
	f.dgram.close()
	f.echo.releaseRaw(f)
}

// send sends the request msg, which is that of the guest's packet p. A ping
// socket puts in an identifier of its own.
func (f *pingFlow) send(msg []byte, host netip.Addr, p link.Packet) unix.Errno {
	f.life.RLock()
	defer f.life.RUnlock()
	if f.closed {
		return 0 // lost, as packets may be
	}
	hopOf(p, host).apply(f.fd, f.opts, &f.last)
	if f.raw {
		msg = append([]byte(nil), msg...) // an error quotes p as it is
		f.icmp.setID(msg, f.id)
	}
	errno := f.sendTo(msg, netip.AddrPortFrom(host, 0), p.Bytes)
	if errno == unix.EMSGSIZE {
		return 0 // the guest has been told
	}
	return errno
}

// HandleEvents implements poll.Handler.
func (f *pingFlow) HandleEvents(events uint32) {
	f.life.RLock()
	defer f.life.RUnlock()
	if !f.closed {
		f.receive(events)
	}
}

// receiveOne implements dgramOwner.
func (f *pingFlow) receiveOne(burst *datagram.Burst) unix.Errno {
	b := burst.Room()
	n, peer, ttl, errno := hostsock.RecvTTL(f.fd, b)
	if errno == 0 {
		f.reply(b[:n], peer.Addr(), ttl)
	}
	return errno
}

// reply passes on what a host answered.
func (f *pingFlow) reply(msg []byte, peer netip.Addr, ttl uint8) {
	if f.raw && f.icmp == icmp4 { // with the IP header
		if len(msg) < header.IPv4MinimumSize {
			return
		}
		msg = msg[min(len(msg), int(header.IPv4(msg).HeaderLength())):]
	}
	if len(msg) < echoLen || msg[0] != f.icmp.reply {
		return
	}
	binary.BigEndian.PutUint16(msg[icmpIDOffset:], f.key.id)
	if ttl > 1 {
		ttl-- // we are a hop
	}
	f.echo.table.Answered(f.key, pingIdle)
	f.cfg.Sender.EchoReply(f.cfg.Policy.GuestView(peer), f.key.guest, msg[4:], datagram.Meta{TTL: ttl})
}

// quote implements dgramOwner. The error queue gives the request as it left the
// host, from the header of ICMP on.
func (f *pingFlow) quote(e hostsock.Error) ([]byte, bool) {
	if len(e.Payload) < echoLen {
		return nil, false
	}
	if f.raw && (e.Payload[0] != f.icmp.request || binary.BigEndian.Uint16(e.Payload[icmpIDOffset:]) != f.id) {
		return nil, false // somebody else's
	}
	msg := append([]byte(nil), e.Payload...)
	f.icmp.setID(msg, f.key.id)
	return quotePacket(f.key.guest, f.cfg.Policy.GuestView(e.Dst.Addr()), uint8(f.icmp.proto), msg), true
}
