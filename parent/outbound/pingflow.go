package outbound

import (
	"encoding/binary"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
	"github.com/slirp4netns-go/slirp4netns/parent/link"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// pingFlow is one host socket.
type pingFlow struct {
	echo  *Echo
	key   pingKey
	icmp  *icmp
	opts  *sockopts
	fd    int
	token poll.Token
	raw   bool
	id    uint16    // the identifier on the host's side of a raw socket
	last  hop       // link's goroutine only
	task  poll.Task // goes on receiving after a turn

	life   sync.RWMutex // held for reading while fd is used
	closed bool         // guarded by life
}

// close ends the flow. It waits for whoever uses the socket.
func (f *pingFlow) close() {
	f.life.Lock()
	defer f.life.Unlock()
	f.closed = true
	f.echo.cfg.Poller.Remove(f.fd, f.token)
	unix.Close(f.fd)
	f.echo.releaseRaw(f)
}

// send sends the request msg, which is that of the guest's packet p. A ping
// socket puts in an identifier of its own.
func (f *pingFlow) send(msg []byte, host netip.Addr, p link.Packet) unix.Errno {
	f.life.RLock()
	defer f.life.RUnlock()
	if f.closed {
		return 0
	}
	hopOf(p, host).apply(f.fd, f.opts, &f.last)
	if f.raw {
		f.icmp.setID(msg, f.id)
		defer f.icmp.setID(msg, f.key.id) // an error quotes p
	}
	to := netip.AddrPortFrom(host, 0)
	ctrl := f.echo.cfg.Source.of(host).control(host)
	errno := hostsock.SendTo(f.fd, msg, to, ctrl)
	if errno == 0 || errno == unix.EAGAIN {
		return errno
	}
	if f.drainErrors(p.Bytes) {
		if errno == unix.EMSGSIZE {
			return 0 // the guest has been told the MTU
		}
		return hostsock.SendTo(f.fd, msg, to, ctrl)
	}
	return errno
}

// HandleEvents implements poll.Handler: replies go to the guest.
func (f *pingFlow) HandleEvents(events uint32) {
	f.life.RLock()
	defer f.life.RUnlock()
	if f.closed {
		return
	}
	if events&poll.Err != 0 {
		f.drainErrors(nil)
	}
	b := buffers.Get().(*[hostsock.MaxDatagram]byte)
	defer buffers.Put(b)
	failed := 0
	for range recvTurn {
		n, peer, ttl, errno := hostsock.RecvTTL(f.fd, b[:])
		if errno == unix.EAGAIN {
			return
		}
		if errno != 0 {
			f.drainErrors(nil)
			if failed++; failed > maxFailed {
				return
			}
			continue
		}
		f.reply(b[:n], peer.Addr(), ttl)
	}
	f.echo.cfg.Worker.Schedule(&f.task)
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
	f.echo.cfg.Sender.EchoReply(f.echo.cfg.Policy.GuestView(peer), f.key.guest, msg[4:], datagram.Meta{TTL: ttl})
}

// drainErrors tells the guest of what is in the error queue, and reports
// whether there was anything. packet is what is being sent, or nil.
func (f *pingFlow) drainErrors(packet []byte) bool {
	p := f.echo.cfg.Policy
	return drain(f.fd, func(e hostsock.Error) {
		m, ok := p.icmpError(e)
		if !ok || !e.Dst.IsValid() {
			return
		}
		quote := packet
		if !inHand(e, packet) {
			if quote, ok = f.quote(e); !ok {
				return
			}
		}
		f.echo.cfg.Sender.Error(m, quote)
	})
}

// quote builds the beginning of the packet that the guest sent. The error
// queue gives the request as it left the host, from the header of ICMP on.
func (f *pingFlow) quote(e hostsock.Error) ([]byte, bool) {
	if len(e.Payload) < echoLen {
		return nil, false
	}
	if f.raw && (e.Payload[0] != f.icmp.request || binary.BigEndian.Uint16(e.Payload[icmpIDOffset:]) != f.id) {
		return nil, false // somebody else's
	}
	msg := append([]byte(nil), e.Payload...)
	f.icmp.setID(msg, f.key.id)
	return quotePacket(f.key.guest, f.echo.cfg.Policy.GuestView(e.Dst.Addr()), uint8(f.icmp.proto), msg), true
}
