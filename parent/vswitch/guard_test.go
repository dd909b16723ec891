package vswitch

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

var (
	gateway, nameserver   = netip.MustParseAddr("10.0.2.2"), netip.MustParseAddr("10.0.2.3")
	gateway6, nameserver6 = netip.MustParseAddr("fd00::2"), netip.MustParseAddr("fd00::3")
	router6, dnsLocal6    = netip.MustParseAddr("fe80::2"), netip.MustParseAddr("fe80::3")
	someone, someone6     = netip.MustParseAddr("10.0.2.100"), netip.MustParseAddr("fd00::100")
	everybody6            = netip.MustParseAddr("ff02::1")

	broadcast = link.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
)

// mac is the Ethernet address of a station.
func mac(n byte) link.MAC { return link.MAC{2, 0, 0, 0, 0, n} }

func testConfig() Config {
	return Config{
		Name:     "test",
		Addrs:    []netip.Addr{gateway, nameserver},
		Addrs6:   []netip.Addr{router6, dnsLocal6, gateway6, nameserver6},
		MaxPeers: 8,
	}
}

func testGuard() *guard {
	c := testConfig()
	return &guard{macs: link.OwnMACs(c.Addrs...), addrs: c.Addrs, addrs6: c.Addrs6}
}

func frame(dst, src link.MAC, proto uint16, payload ...[]byte) []byte {
	f := append(append([]byte{}, dst[:]...), src[:]...)
	f = binary.BigEndian.AppendUint16(f, proto)
	return append(f, slices.Concat(payload...)...)
}

// tagged puts VLAN tags before the EtherType.
func tagged(f []byte, tags ...uint16) []byte {
	head := slices.Clone(f[:12])
	for _, t := range tags {
		head = append(binary.BigEndian.AppendUint16(head, t), 0, 0)
	}
	return append(head, f[12:]...)
}

func arp(hw uint16, sender link.MAC, addr netip.Addr) []byte {
	b := binary.BigEndian.AppendUint16(nil, hw)
	b = append(b, 8, 0, 6, 4, 0, 2)
	b = append(append(b, sender[:]...), addr.AsSlice()...)
	return append(b, make([]byte, 10)...)
}

func ipv4(src netip.Addr, proto tcpip.TransportProtocolNumber, fragment uint16, payload []byte) []byte {
	b := make([]byte, header.IPv4MinimumSize, header.IPv4MinimumSize+len(payload))
	b[0] = 0x45
	binary.BigEndian.PutUint16(b[2:], uint16(cap(b)))
	binary.BigEndian.PutUint16(b[6:], fragment)
	b[8], b[9] = 64, byte(proto)
	copy(b[12:], src.AsSlice())
	return append(b, payload...)
}

func udp(from, to uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, from)
	b = binary.BigEndian.AppendUint16(b, to)
	return append(b, 0, 8, 0, 0)
}

func ipv6(src netip.Addr, next byte, payload []byte) []byte {
	b := make([]byte, header.IPv6MinimumSize, header.IPv6MinimumSize+len(payload))
	b[0] = 0x60
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	b[6], b[7] = next, 255
	copy(b[8:], src.AsSlice())
	copy(b[24:], everybody6.AsSlice())
	return append(b, payload...)
}

// icmp6 is a message with a target, as those about neighbours have.
func icmp6(typ header.ICMPv6Type, target netip.Addr) []byte {
	return append([]byte{byte(typ), 0, 0, 0, 0, 0, 0, 0}, target.AsSlice()...)
}

// extension is a header of 8 bytes before payload.
func extension(next byte, payload []byte) []byte {
	return append([]byte{next, 0, 1, 4, 0, 0, 0, 0}, payload...) // PadN
}

// fragment is a fragment header before payload.
func fragment(next byte, offset uint16, payload []byte) []byte {
	b := []byte{next, 0, 0, 0, 0, 0, 0, 1}
	binary.BigEndian.PutUint16(b[2:], offset<<3|1)
	return append(b, payload...)
}

func TestGuard(t *testing.T) {
	const (
		icmpv6  = uint8(header.ICMPv6ProtocolNumber)
		udpNext = uint8(header.UDPProtocolNumber)
		tcp     = header.TCPProtocolNumber
	)
	a := mac(1)
	arpFrom := func(sender link.MAC, addr netip.Addr) []byte {
		return frame(broadcast, a, typeARP, arp(1, sender, addr))
	}
	v4 := func(p []byte) []byte { return frame(mac(2), a, typeIPv4, p) }
	v6 := func(p []byte) []byte { return frame(mac(2), a, typeIPv6, p) }
	ownMAC := link.OwnMACs(gateway)[1]
	for name, c := range map[string]struct {
		frame []byte
		want  verdict
	}{
		"nothing":                        {nil, malformed},
		"13 bytes":                       {make([]byte, 13), malformed},
		"multicast source":               {frame(broadcast, link.MAC{1}, 0x1234), malformed},
		"broadcast source":               {frame(broadcast, broadcast, 0x1234), malformed},
		"no source":                      {frame(broadcast, link.MAC{}, 0x1234), malformed},
		"any protocol":                   {frame(broadcast, a, 0x1234), passes},
		"the gateway's MAC":              {frame(broadcast, ownMAC, 0x1234), forbidden},
		"the router's MAC":               {frame(broadcast, link.RouterMAC6, 0x1234), forbidden},
		"to the gateway's MAC":           {frame(ownMAC, a, 0x1234), passes},
		"spanning tree":                  {frame(link.MAC{1, 0x80, 0xc2, 0, 0, 0}, a, 0x27), forbidden},
		"another group":                  {frame(link.MAC{1, 0x80, 0xc2, 0, 0, 0x10}, a, 0x27), passes},
		"ARP":                            {arpFrom(a, someone), passes},
		"ARP for the gateway":            {arpFrom(a, gateway), forbidden},
		"ARP for the nameserver":         {arpFrom(a, nameserver), forbidden},
		"ARP with the gateway's MAC":     {arpFrom(ownMAC, someone), forbidden},
		"ARP, IEEE 802":                  {frame(broadcast, a, typeARP, arp(6, a, gateway)), forbidden},
		"ARP, short":                     {arpFrom(a, gateway)[:14+27], malformed},
		"ARP, tagged":                    {tagged(arpFrom(a, gateway), typeVLAN), forbidden},
		"ARP, tagged twice":              {tagged(arpFrom(a, gateway), typeQinQ, typeVLAN), forbidden},
		"tags without end":               {tagged(arpFrom(a, someone), slices.Repeat([]uint16{typeVLAN}, 5)...), malformed},
		"a tag cut off":                  {tagged(arpFrom(a, someone), typeVLAN)[:16], malformed},
		"IPv4":                           {v4(ipv4(someone, tcp, 0, nil)), passes},
		"IPv4 of the gateway":            {v4(ipv4(gateway, tcp, 0, nil)), forbidden},
		"IPv4 of the nameserver":         {v4(ipv4(nameserver, tcp, 0, nil)), forbidden},
		"IPv4, cut off":                  {v4(ipv4(someone, tcp, 0, make([]byte, 8)))[:14+27], malformed},
		"IPv4, version 6":                {v4(ipv6(someone6, icmpv6, nil)), malformed},
		"DHCP from a client":             {v4(ipv4(netip.IPv4Unspecified(), header.UDPProtocolNumber, 0, udp(68, 67))), passes},
		"DHCP from a server":             {v4(ipv4(someone, header.UDPProtocolNumber, 0, udp(67, 68))), forbidden},
		"DHCP, first fragment":           {v4(ipv4(someone, header.UDPProtocolNumber, 0x2000, udp(9, 68))), forbidden},
		"UDP, later fragment":            {v4(ipv4(someone, header.UDPProtocolNumber, 2, udp(9, 68))), passes},
		"UDP without a header":           {v4(ipv4(someone, header.UDPProtocolNumber, 0x2000, nil)), malformed},
		"IPv6":                           {v6(ipv6(someone6, 59, []byte{0})), passes},
		"IPv6 of the gateway":            {v6(ipv6(gateway6, 59, []byte{0})), forbidden},
		"IPv6 of the nameserver":         {v6(ipv6(nameserver6, 59, []byte{0})), forbidden},
		"IPv6 of the router":             {v6(ipv6(router6, 59, []byte{0})), forbidden},
		"IPv6, cut off":                  {v6(ipv6(someone6, 59, make([]byte, 8)))[:14+47], malformed},
		"router solicitation":            {v6(ipv6(someone6, icmpv6, icmp6(header.ICMPv6RouterSolicit, someone6))), passes},
		"router advertisement":           {v6(ipv6(someone6, icmpv6, icmp6(header.ICMPv6RouterAdvert, someone6))), forbidden},
		"router advertisement, extended": {v6(ipv6(someone6, 60, extension(icmpv6, icmp6(header.ICMPv6RouterAdvert, someone6)))), forbidden},
		"router advertisement, fragment": {v6(ipv6(someone6, 44, fragment(icmpv6, 0, icmp6(header.ICMPv6RouterAdvert, someone6)))), malformed},
		"a chain that goes on":           {v6(ipv6(someone6, 44, fragment(60, 0, []byte{icmpv6, 1, 1, 4, 0, 0, 0, 0}))), malformed},
		"a later fragment":               {v6(ipv6(someone6, 44, fragment(icmpv6, 1, icmp6(header.ICMPv6RouterAdvert, someone6)))), passes},
		"redirect":                       {v6(ipv6(someone6, icmpv6, icmp6(header.ICMPv6RedirectMsg, someone6))), forbidden},
		"neighbour solicitation":         {v6(ipv6(someone6, icmpv6, icmp6(header.ICMPv6NeighborSolicit, gateway6))), passes},
		"neighbour advertisement":        {v6(ipv6(someone6, icmpv6, icmp6(header.ICMPv6NeighborAdvert, someone6))), passes},
		"advertisement of the gateway":   {v6(ipv6(someone6, icmpv6, icmp6(header.ICMPv6NeighborAdvert, gateway6))), forbidden},
		"advertisement of the router":    {v6(ipv6(someone6, icmpv6, icmp6(header.ICMPv6NeighborAdvert, router6))), forbidden},
		"advertisement, cut off":         {v6(ipv6(someone6, icmpv6, icmp6(header.ICMPv6NeighborAdvert, gateway6)[:23])), malformed},
		"DHCPv6 from a client":           {v6(ipv6(someone6, udpNext, udp(546, 547))), passes},
		"DHCPv6 from a server":           {v6(ipv6(someone6, udpNext, udp(547, 546))), forbidden},
	} {
		if got := testGuard().judge(c.frame); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// FuzzGuard: what passes is not from our addresses, as another parser sees it,
// and has none of what is forbidden where that is plain to see.
func FuzzGuard(f *testing.F) {
	f.Add(frame(broadcast, mac(1), typeARP, arp(1, mac(1), gateway)))
	f.Add(tagged(frame(broadcast, mac(1), typeIPv4, ipv4(someone, header.UDPProtocolNumber, 0, udp(67, 68))), typeVLAN))
	f.Add(frame(broadcast, mac(1), typeIPv6, ipv6(someone6, 0, extension(44, fragment(58, 0, icmp6(134, gateway6))))))
	f.Add(frame(broadcast, mac(1), typeIPv6, ipv6(someone6, 58, icmp6(136, router6))))
	f.Add(frame(broadcast, mac(1), typeIPv6, ipv6(someone6, 17, udp(547, 546))))
	g := testGuard()
	f.Fuzz(func(t *testing.T, b []byte) {
		if g.judge(b) != passes {
			return
		}
		if len(b) < header.EthernetMinimumSize {
			t.Fatal("a frame without a header")
		}
		e := header.Ethernet(b)
		if src := e.SourceAddress(); header.IsMulticastEthernetAddress(src) || slices.Contains(g.macs, link.MAC([]byte(src))) {
			t.Fatalf("from %v", src)
		}
		p := b[header.EthernetMinimumSize:]
		switch e.Type() {
		case header.ARPProtocolNumber:
			if a := header.ARP(p); len(p) < header.ARPSize || netip.AddrFrom4([4]byte(a.ProtocolAddressSender())) == gateway {
				t.Fatal("ARP")
			}
		case header.IPv4ProtocolNumber:
			ip := header.IPv4(p)
			if !ip.IsValid(len(p)) {
				return // the header's options may be bad, of which the guard knows nothing
			}
			if ip.SourceAddress() == tcpip.AddrFrom4(gateway.As4()) {
				t.Fatal("from the gateway")
			}
			if ip.Protocol() == uint8(header.UDPProtocolNumber) && ip.FragmentOffset() == 0 && header.UDP(ip.Payload()).DestinationPort() == dhcpClient {
				t.Fatal("DHCP to a client")
			}
		case header.IPv6ProtocolNumber:
			ip := header.IPv6(p)
			if !ip.IsValid(len(p)) || ip.SourceAddress() == tcpip.AddrFrom16(router6.As16()) {
				t.Fatal("IPv6")
			}
			if ip.NextHeader() == uint8(header.ICMPv6ProtocolNumber) {
				if typ := header.ICMPv6(ip.Payload()).Type(); typ == header.ICMPv6RouterAdvert || typ == header.ICMPv6RedirectMsg {
					t.Fatalf("type %d", typ)
				}
			}
		}
	})
}
