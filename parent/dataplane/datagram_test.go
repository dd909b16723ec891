package dataplane

import (
	"bytes"
	"encoding/binary"
	"math/rand"
	"net"
	"net/netip"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// udpEcho answers datagrams on the host's loopback.
func udpEcho(t *testing.T) netip.AddrPort {
	t.Helper()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 65536)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			c.WriteTo(b[:n], from)
		}
	}()
	return netip.AddrPortFrom(gateway, uint16(c.LocalAddr().(*net.UDPAddr).Port))
}

func TestUDPEcho(t *testing.T) {
	g := newGuest(t, nil)
	c := g.dialUDP(udpEcho(t))
	// The last one is the largest that IPv4 has; above 1472 bytes both ways
	// go in fragments.
	for _, n := range []int{0, 1, 1400, 1472, 1473, 9000, 65507} {
		want := make([]byte, n)
		rand.New(rand.NewSource(int64(n))).Read(want)
		if _, err := c.Write(want); err != nil {
			t.Fatalf("send %d bytes: %v", n, err)
		}
		got := make([]byte, 65536)
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		m, err := c.Read(got)
		if err != nil || !bytes.Equal(got[:m], want) {
			t.Errorf("echo of %d bytes: %d bytes, %v", n, m, err)
		}
	}
	if n := g.plane.udp.Len(); n != 1 {
		t.Errorf("%d flows for one socket, want 1", n)
	}
}

// A closed port is told by the gateway, never by 127.0.0.1.
func TestUDPPortUnreachable(t *testing.T) {
	g := newGuest(t, nil)
	l, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(l.LocalAddr().(*net.UDPAddr).Port)
	l.Close()
	c := g.dialUDP(netip.AddrPortFrom(gateway, port))
	c.Write([]byte("anybody there?"))
	f := g.await("ICMP error", isICMP(header.ICMPv4DstUnreachable))
	p := header.IPv4(f[header.EthernetMinimumSize:])
	if src := netip.AddrFrom4(p.SourceAddress().As4()); src != gateway {
		t.Errorf("the error comes from %s, want %s", src, gateway)
	}
	icmp := header.ICMPv4(p.Payload())
	if icmp.Code() != header.ICMPv4PortUnreachable {
		t.Errorf("code %d, want 3", icmp.Code())
	}
	quote := header.IPv4(icmp.Payload())
	if d := netip.AddrFrom4(quote.DestinationAddress().As4()); d != gateway {
		t.Errorf("it quotes a packet to %s, want %s", d, gateway)
	}
	if got := header.UDP(quote.Payload()).DestinationPort(); got != port {
		t.Errorf("it quotes port %d, want %d", got, port)
	}
}

func isICMP(typ header.ICMPv4Type) func([]byte) bool {
	return func(f []byte) bool {
		p := header.IPv4(f[header.EthernetMinimumSize:])
		return binary.BigEndian.Uint16(f[12:]) == uint16(header.IPv4ProtocolNumber) &&
			p.TransportProtocol() == header.ICMPv4ProtocolNumber &&
			checksum.Checksum(p.Payload(), 0) == 0xffff &&
			header.ICMPv4(p.Payload()).Type() == typ
	}
}

func TestUDPLoopbackIsClosed(t *testing.T) {
	g := newGuest(t, func(c *Config) { c.DisableHostLoopback = true })
	to := udpEcho(t)
	for _, dst := range []string{"10.0.2.2", "255.255.255.255", "127.0.0.1", "127.1.2.3", "0.0.0.0", "0.1.2.3"} {
		g.send(frame(header.IPv4ProtocolNumber, udpPacket(guestAddr, netip.MustParseAddr(dst), 5555, to.Port(), []byte(dst))))
		g.await("unreachable for "+dst, isICMP(header.ICMPv4DstUnreachable))
	}
	if n := g.plane.udp.Len(); n != 0 {
		t.Errorf("%d flows, want none", n)
	}
}

// udpPacket crafts a packet, whatever its addresses.
func udpPacket(src, dst netip.Addr, sport, dport uint16, payload []byte) []byte {
	b := make([]byte, header.IPv4MinimumSize+header.UDPMinimumSize+len(payload))
	ip := header.IPv4(b)
	ip.Encode(&header.IPv4Fields{TotalLength: uint16(len(b)), TTL: 64, Protocol: uint8(header.UDPProtocolNumber)})
	s, d := src.As4(), dst.As4()
	copy(b[12:], s[:])
	copy(b[16:], d[:])
	ip.SetChecksum(^ip.CalculateChecksum())
	u := header.UDP(b[header.IPv4MinimumSize:])
	u.Encode(&header.UDPFields{SrcPort: sport, DstPort: dport, Length: uint16(header.UDPMinimumSize + len(payload))})
	copy(u.Payload(), payload)
	return b // without a UDP checksum, which RFC 768 allows
}

func TestUDPTTLExpires(t *testing.T) {
	g := newGuest(t, nil)
	b := udpPacket(guestAddr, netip.MustParseAddr("198.51.100.2"), 5555, 33434, []byte("x"))
	b[8] = 1
	ip := header.IPv4(b)
	ip.SetChecksum(0)
	ip.SetChecksum(^ip.CalculateChecksum())
	g.send(frame(header.IPv4ProtocolNumber, b))
	g.await("time exceeded", isICMP(header.ICMPv4TimeExceeded))
}

// Only DNS is behind the nameserver's address.
func TestNameserverOtherPorts(t *testing.T) {
	g := newGuest(t, nil)
	c := g.dialUDP(netip.AddrPortFrom(nameserver, 54))
	c.Write([]byte("x"))
	g.await("unreachable", isICMP(header.ICMPv4DstUnreachable))
	if n := g.plane.udp.Len(); n != 0 {
		t.Errorf("%d UDP flows, want none", n)
	}
}

func TestEcho(t *testing.T) {
	g := newGuest(t, nil)
	for _, dst := range []netip.Addr{gateway, nameserver} {
		for _, n := range []int{0, 56, 3000} {
			msg := make([]byte, 8+n)
			msg[0] = uint8(header.ICMPv4Echo)
			copy(msg[4:], "\x12\x34\x00\x01")
			for i := range n {
				msg[8+i] = byte(i)
			}
			binary.BigEndian.PutUint16(msg[2:], ^checksum.Checksum(msg, 0))
			g.send(frame(header.IPv4ProtocolNumber, ipPacket(guestAddr, dst, header.ICMPv4ProtocolNumber, msg)))
			if 28+n > testMTU {
				continue // in fragments; the real ping is the lab's
			}
			f := g.await("echo reply", isICMP(header.ICMPv4EchoReply))
			p := header.IPv4(f[header.EthernetMinimumSize:])
			if src := netip.AddrFrom4(p.SourceAddress().As4()); src != dst {
				t.Errorf("the reply comes from %s, want %s", src, dst)
			}
			if !bytes.Equal(p.Payload()[4:], msg[4:]) {
				t.Errorf("payload of %d bytes changed", n)
			}
		}
	}
}

func ipPacket(src, dst netip.Addr, proto tcpip.TransportProtocolNumber, payload []byte) []byte {
	b := make([]byte, header.IPv4MinimumSize+len(payload))
	ip := header.IPv4(b)
	ip.Encode(&header.IPv4Fields{TotalLength: uint16(len(b)), TTL: 64, Protocol: uint8(proto)})
	s, d := src.As4(), dst.As4()
	copy(b[12:], s[:])
	copy(b[16:], d[:])
	ip.SetChecksum(^ip.CalculateChecksum())
	copy(b[header.IPv4MinimumSize:], payload)
	return b
}

func TestARPOnlyForOurAddresses(t *testing.T) {
	g := newGuest(t, nil)
	ask := func(target netip.Addr) {
		b := make([]byte, 28)
		copy(b, []byte{0, 1, 8, 0, 6, 4, 0, 1})
		copy(b[8:], guestMAC[:])
		s, d := guestAddr.As4(), target.As4()
		copy(b[14:], s[:])
		copy(b[24:], d[:])
		g.send(frame(header.ARPProtocolNumber, b))
	}
	isARP := func(f []byte) bool { return binary.BigEndian.Uint16(f[12:]) == uint16(header.ARPProtocolNumber) }
	for _, a := range []netip.Addr{gateway, nameserver} {
		ask(a)
		f := g.await("ARP reply", isARP)
		b := a.As4()
		want := append([]byte{0x52, 0x55}, b[:]...)
		if !bytes.Equal(f[6:12], want) || !bytes.Equal(f[22:28], want) || !bytes.Equal(f[28:32], b[:]) || len(f) != 64 {
			t.Errorf("reply for %s: % x", a, f)
		}
	}
	for _, s := range []string{"10.0.2.1", "10.0.2.4", "10.0.2.100", "198.51.100.2"} {
		ask(netip.MustParseAddr(s))
	}
	select {
	case f := <-g.raw:
		t.Errorf("an answer for an address that is not ours: % x", f)
	case <-time.After(300 * time.Millisecond):
	}
}
