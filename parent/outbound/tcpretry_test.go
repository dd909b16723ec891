package outbound

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/header/parse"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
	"github.com/slirp4netns-go/slirp4netns/parent/poll"
)

// A later attempt from the same port that comes when the host's answer to the
// first one is known, and the guest does not know it yet, is answered as well.
func TestLaterAttemptOfOneThatFails(t *testing.T) {
	poller, err := poll.New()
	if err != nil {
		t.Fatal(err)
	}
	defer poller.Close()
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
	})
	defer s.Close()
	var w wire
	c := NewTCP(TCPConfig{Stack: s, Policy: closedPolicy, Poller: poller, Sender: datagram.New(&w), Max: 100})
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	guest, host := netip.MustParseAddrPort("10.0.2.100:1000"), netip.MustParseAddrPort("127.0.0.1:80")
	id := stack.TransportEndpointID{
		LocalAddress: tcpip.AddrFrom4(host.Addr().As4()), LocalPort: host.Port(),
		RemoteAddress: tcpip.AddrFrom4(guest.Addr().As4()), RemotePort: guest.Port(),
	}
	f := newFlow(c, id, fd, connecting)
	first := synPacket(t, guest, host, 1)
	f.syn, f.isn = first, 1
	c.connecting[id] = f
	f.waitLocked(c.dialling)
	if !c.take(f) {
		t.Fatal("the flow does not wait for the host")
	}
	later := synPacket(t, guest, host, 70_000)
	if !c.handlePacket(id, later) || f.next == nil {
		t.Fatal("the later attempt is not kept")
	}
	c.settle(f, hostsock.Error{Errno: unix.EHOSTUNREACH})
	var got []uint8
	for _, p := range w.packets {
		got = append(got, header.ICMPv4(p[header.IPv4MinimumSize:])[1])
	}
	// The first one as the host says, the later one as it deserves now: no
	// packet goes to 127.0.0.0/8.
	if len(got) != 2 || got[0] != datagram.CodeHostUnreachable || got[1] != datagram.CodeNetUnreachable {
		t.Errorf("destination unreachable with codes %v, want %d and %d", got, datagram.CodeHostUnreachable, datagram.CodeNetUnreachable)
	}
	if c.Len() != 0 {
		t.Errorf("%d connections are left", c.Len())
	}
	later.DecRef()
}

// synPacket is a SYN as netstack hands it over.
func synPacket(t *testing.T, src, dst netip.AddrPort, seq uint32) *stack.PacketBuffer {
	t.Helper()
	b := make([]byte, header.TCPMinimumSize)
	header.TCP(b).Encode(&header.TCPFields{
		SrcPort: src.Port(), DstPort: dst.Port(), SeqNum: seq, DataOffset: header.TCPMinimumSize, Flags: header.TCPFlagSyn,
	})
	packet := quotePacket(src.Addr(), dst.Addr(), uint8(header.TCPProtocolNumber), b)
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(packet)})
	if !parse.IPv4(pkt) || !parse.TCP(pkt) {
		t.Fatal("the packet is not one")
	}
	pkt.NetworkProtocolNumber, pkt.TransportProtocolNumber = header.IPv4ProtocolNumber, header.TCPProtocolNumber
	return pkt
}
