package outbound

import (
	"testing"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/header/parse"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
)

// A socket that is connected to its own port is told from one that has a peer.
func TestConnectedToItself(t *testing.T) {
	for _, any := range []unix.Sockaddr{
		&unix.SockaddrInet4{Addr: loopback4.As4()},
		&unix.SockaddrInet6{Addr: loopback6.As16()},
	} {
		// socket is bound to a port of its own.
		socket := func() (int, unix.Sockaddr) {
			fd, err := unix.Socket(hostsock.Family(hostsock.AddrPort(any).Addr()), unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { unix.Close(fd) })
			if err := unix.Bind(fd, any); err != nil {
				t.Fatal(err)
			}
			sa, err := unix.Getsockname(fd)
			if err != nil {
				t.Fatal(err)
			}
			return fd, sa
		}
		self, sa := socket()
		if connectedToItself(self) {
			t.Error("a socket without a connection is connected to itself")
		}
		if err := unix.Connect(self, sa); err != nil {
			t.Fatalf("Linux connects a socket to itself, but: %v", err)
		}
		if !connectedToItself(self) {
			t.Error("not noticed")
		}
		server, sa := socket()
		client, _ := socket()
		if err := unix.Listen(server, 1); err != nil {
			t.Fatal(err)
		}
		if err := unix.Connect(client, sa); err != nil {
			t.Fatal(err)
		}
		if connectedToItself(client) {
			t.Error("a connection to a server was taken for one to itself")
		}
	}
}

// Of a SYN that is large by its data only the headers are kept.
func TestRetain(t *testing.T) {
	for _, size := range []int{0, 1000, 60000} {
		b := make([]byte, header.IPv4MinimumSize+header.TCPMinimumSize+size)
		header.IPv4(b).Encode(&header.IPv4Fields{TotalLength: uint16(len(b)), TTL: 64, Protocol: uint8(header.TCPProtocolNumber)})
		header.TCP(b[header.IPv4MinimumSize:]).Encode(&header.TCPFields{
			SrcPort: 1, DstPort: 2, SeqNum: 77, DataOffset: header.TCPMinimumSize, Flags: header.TCPFlagSyn,
		})
		pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(b)})
		if !parse.IPv4(pkt) || !parse.TCP(pkt) {
			t.Fatal("the packet is not one")
		}
		kept := retain(pkt)
		if kept.Size() > maxSYN {
			t.Errorf("%d bytes of data: %d bytes are kept", size, kept.Size())
		}
		if got := header.TCP(kept.TransportHeader().Slice()).SequenceNumber(); got != 77 {
			t.Errorf("%d bytes of data: sequence number %d, want 77", size, got)
		}
		if got := header.IPv4(kept.NetworkHeader().Slice()).TTL(); got != 64 {
			t.Errorf("%d bytes of data: TTL %d, want 64", size, got)
		}
		kept.DecRef()
		pkt.DecRef()
	}
}
