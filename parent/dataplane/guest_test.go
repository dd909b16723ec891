package dataplane

import (
	"context"
	"encoding/binary"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"github.com/slirp4netns-go/slirp4netns/ipc/tun"
)

var (
	gateway    = netip.MustParseAddr("10.0.2.2")
	nameserver = netip.MustParseAddr("10.0.2.3")
	guestAddr  = netip.MustParseAddr("10.0.2.100")
	guestAddr6 = netip.MustParseAddr("fd00::100")
)

const testMTU = 1500

// guest is a second netstack that plays the guest's kernel, at the other end
// of a socket pair. It needs no privilege, so it runs under -race.
type guest struct {
	t     *testing.T
	plane *Plane
	fd    int
	ch    *channel.Endpoint
	stack *stack.Stack
	// raw gets a copy of each frame that the plane sends, when set.
	raw chan []byte
}

// pairBuffer is the size in bytes of the socket pair's buffer to the guest.
const pairBuffer = 8 << 20

// newGuest starts a Plane and connects a guest to it. Everything ends with the
// test.
func newGuest(t *testing.T, change func(*Config)) *guest {
	t.Helper()
	cfg := Config{
		MTU: testMTU, Network: netip.MustParsePrefix("10.0.2.0/24"),
		Gateway: gateway, Nameserver: nameserver, ResolvConf: "/nonexistent",
	}
	if change != nil {
		change(&cfg)
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	// A TAP holds 1,000 frames; this has to hold what a connection may have on its
	// way to the guest. netstack takes seconds to make good for a burst that was
	// dropped. It takes root to have more than net.core.wmem_max.
	if unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, pairBuffer) != nil {
		_ = unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_SNDBUF, pairBuffer)
	}
	if err := p.Start(fds[0], tun.Features{Name: "pair"}); err != nil {
		t.Fatal(err)
	}
	g := &guest{t: t, plane: p, fd: fds[1], ch: channel.New(4096, cfg.MTU, ""), raw: make(chan []byte, 1024)}
	g.stack = stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4},
	})
	if err := g.stack.CreateNIC(1, g.ch); err != nil {
		t.Fatal(err)
	}
	addr := tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: tcpip.AddressWithPrefix{Address: tcpip.AddrFrom4(guestAddr.As4()), PrefixLen: 24}}
	if err := g.stack.AddProtocolAddress(1, addr, stack.AddressProperties{}); err != nil {
		t.Fatal(err)
	}
	g.stack.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: 1}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{}, 2)
	go func() { g.transmit(ctx); done <- struct{}{} }()
	go func() { g.receive(); done <- struct{}{} }()
	t.Cleanup(func() {
		cancel()
		p.Close()
		unix.Shutdown(g.fd, unix.SHUT_RDWR)
		<-done
		<-done
		unix.Close(g.fd)
		g.stack.Close()
	})
	return g
}

// transmit carries the guest's packets to the plane.
func (g *guest) transmit(ctx context.Context) {
	for {
		pkt := g.ch.ReadContext(ctx)
		if pkt == nil {
			return
		}
		v := pkt.ToView()
		g.send(frame(header.IPv4ProtocolNumber, v.AsSlice()))
		v.Release()
		pkt.DecRef()
	}
}

// receive carries the plane's frames to the guest.
func (g *guest) receive() {
	b := make([]byte, 70000)
	for {
		n, err := unix.Read(g.fd, b)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 {
			return
		}
		f := append([]byte(nil), b[:n]...)
		select {
		case g.raw <- f:
		default:
		}
		if binary.BigEndian.Uint16(f[12:]) != uint16(header.IPv4ProtocolNumber) {
			continue
		}
		pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(f[header.EthernetMinimumSize:])})
		g.ch.InjectInbound(header.IPv4ProtocolNumber, pkt)
		pkt.DecRef()
	}
}

// send sends a raw frame.
func (g *guest) send(f []byte) { _, _ = unix.Write(g.fd, f) }

// await returns the first frame that match accepts.
func (g *guest) await(what string, match func([]byte) bool) []byte {
	g.t.Helper()
	deadline := time.After(5 * time.Second)
	for {
		select {
		case f := <-g.raw:
			if match(f) {
				return f
			}
		case <-deadline:
			g.t.Fatalf("no %s within 5 s", what)
		}
	}
}

func (g *guest) dial(to netip.AddrPort) (*gonet.TCPConn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return gonet.DialContextTCP(ctx, g.stack, fullAddress(to), ipv4.ProtocolNumber)
}

func (g *guest) dialUDP(to netip.AddrPort) *gonet.UDPConn {
	g.t.Helper()
	a := fullAddress(to)
	c, err := gonet.DialUDP(g.stack, nil, &a, ipv4.ProtocolNumber)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { c.Close() })
	return c
}

func fullAddress(a netip.AddrPort) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: 1, Addr: tcpip.AddrFrom4(a.Addr().As4()), Port: a.Port()}
}

var guestMAC = [6]byte{2, 0, 0, 0, 0, 1}

// frame puts an Ethernet header before a packet.
func frame(proto tcpip.NetworkProtocolNumber, packet []byte) []byte {
	f := make([]byte, header.EthernetMinimumSize, header.EthernetMinimumSize+len(packet))
	copy(f, []byte{0x52, 0x55, 10, 0, 2, 2})
	copy(f[6:], guestMAC[:])
	binary.BigEndian.PutUint16(f[12:], uint16(proto))
	return append(f, packet...)
}

// settled waits until cond holds.
func settled(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<16)
			t.Fatalf("not within 10 s: %s\n%s", what, buf[:runtime.Stack(buf, true)])
		}
	}
}
