package dataplane

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// A client without an address broadcasts, and so does the server.
func TestDHCPOffer(t *testing.T) {
	g := newGuest(t, func(c *Config) {
		c.FirstLease, c.Recommended = netip.MustParseAddr("10.0.2.15"), guestAddr
		c.DisableHostLoopback = true // has no bearing on it
	})
	m, err := dhcpv4.NewDiscovery(net.HardwareAddr(guestMAC[:]))
	if err != nil {
		t.Fatal(err)
	}
	for _, dst := range []string{"255.255.255.255", "10.0.2.2"} {
		g.send(frame(header.IPv4ProtocolNumber, udpPacket(netip.IPv4Unspecified(), netip.MustParseAddr(dst), 68, 67, m.ToBytes())))
		f := g.await("offer to a client that asked "+dst, func(f []byte) bool {
			return binary.BigEndian.Uint16(f[12:]) == uint16(header.IPv4ProtocolNumber) && f[23] == uint8(header.UDPProtocolNumber)
		})
		if !bytes.Equal(f[:6], []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) {
			t.Errorf("the frame goes to % x, want broadcast", f[:6])
		}
		ip := header.IPv4(f[header.EthernetMinimumSize:])
		udp := header.UDP(ip.Payload())
		if tos, _ := ip.TOS(); tos != 0x10 || ip.SourceAddress().String() != "10.0.2.2" || ip.DestinationAddress().String() != "255.255.255.255" ||
			udp.SourcePort() != 67 || udp.DestinationPort() != 68 {
			t.Errorf("headers: % x", f[14:42])
		}
		sum := header.PseudoHeaderChecksum(header.UDPProtocolNumber, ip.SourceAddress(), ip.DestinationAddress(), uint16(len(udp)))
		if checksum.Checksum(udp, sum) != 0xffff {
			t.Error("the checksum is not whole")
		}
		r, err := dhcpv4.FromBytes(udp.Payload())
		if err != nil || r.YourIPAddr.String() != "10.0.2.15" || !r.DNS()[0].Equal(net.IPv4(10, 0, 2, 3)) {
			t.Errorf("offer: %v, %v", r, err)
		}
	}
	if n := g.plane.udp.Len(); n != 0 {
		t.Errorf("%d UDP flows, want none", n)
	}
}

// Without a nameserver clients are told of none.
func TestDHCPWithoutDNS(t *testing.T) {
	g := newGuest(t, func(c *Config) {
		c.FirstLease, c.DisableDNS = netip.MustParseAddr("10.0.2.15"), true
	})
	m, err := dhcpv4.NewDiscovery(net.HardwareAddr(guestMAC[:]))
	if err != nil {
		t.Fatal(err)
	}
	g.send(frame(header.IPv4ProtocolNumber, udpPacket(netip.IPv4Unspecified(), broadcast4, 68, 67, m.ToBytes())))
	f := g.await("offer", func(f []byte) bool { return f[23] == uint8(header.UDPProtocolNumber) })
	r, err := dhcpv4.FromBytes(header.UDP(header.IPv4(f[header.EthernetMinimumSize:]).Payload()).Payload())
	if err != nil || len(r.DNS()) != 0 || len(r.Router()) != 1 {
		t.Errorf("offer: %v, %v; want no nameserver", r, err)
	}
}

// An address that a frame came from is not another machine's to have, and one
// that is offered is asked for.
func TestDHCPNeighbours(t *testing.T) {
	g := newGuest(t, func(c *Config) { c.FirstLease = guestAddr })
	g.send(frame(header.IPv4ProtocolNumber, udpPacket(guestAddr, gateway, 9, 9, nil)))
	m, err := dhcpv4.NewDiscovery(net.HardwareAddr{2, 0, 0, 0, 0, 2})
	if err != nil {
		t.Fatal(err)
	}
	g.send(frame(header.IPv4ProtocolNumber, udpPacket(netip.IPv4Unspecified(), broadcast4, 68, 67, m.ToBytes())))
	next := guestAddr.Next()
	g.await("request for the address", func(f []byte) bool {
		return binary.BigEndian.Uint16(f[12:]) == uint16(header.ARPProtocolNumber) && [4]byte(f[38:42]) == next.As4()
	})
	f := g.await("offer", func(f []byte) bool { return f[23] == uint8(header.UDPProtocolNumber) })
	r, err := dhcpv4.FromBytes(header.UDP(header.IPv4(f[header.EthernetMinimumSize:]).Payload()).Payload())
	if err != nil || r.YourIPAddr.String() != next.String() {
		t.Errorf("offer: %v, %v; want %v", r, err, next)
	}
}
