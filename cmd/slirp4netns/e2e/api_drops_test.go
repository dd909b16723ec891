package e2e

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
	"github.com/slirp4netns-go/slirp4netns/parent/api"
)

// stationWithAPI is a guest that speaks by hand, and the control socket of its
// slirp4netns.
func stationWithAPI(t *testing.T, args ...string) (*station, string) {
	t.Helper()
	path := socketPath(t, user)
	_, file := tapfdSocket(t, unix.SOCK_SEQPACKET, append(args, "--api-socket="+path)...)
	return newStation(t, file, "10.0.2.100"), path
}

// packet is a frame to the gateway with an IPv4 packet that change has changed
// before its header's checksum was made.
func (s *station) packet(proto tcpip.TransportProtocolNumber, dst string, payload []byte, change func(ip header.IPv4)) []byte {
	b := ipv4(proto, s.addr, netip.MustParseAddr(dst), payload)
	ip := header.IPv4(b)
	change(ip)
	ip.SetChecksum(0)
	ip.SetChecksum(^ip.CalculateChecksum())
	return s.ethernet(gatewayMAC, protoIPv4, b)
}

// udp6 is a datagram over IPv6 in a frame to the router.
func (s *station) udp6(dst string, port uint16) []byte {
	src, to := tcpip.AddrFrom16(netip.MustParseAddr("fd00::100").As16()), tcpip.AddrFrom16(netip.MustParseAddr(dst).As16())
	b := make([]byte, header.IPv6MinimumSize+header.UDPMinimumSize)
	header.IPv6(b).Encode(&header.IPv6Fields{PayloadLength: header.UDPMinimumSize, HopLimit: 64,
		TransportProtocol: header.UDPProtocolNumber, SrcAddr: src, DstAddr: to})
	u := header.UDP(b[header.IPv6MinimumSize:])
	u.Encode(&header.UDPFields{SrcPort: 1000, DstPort: port, Length: header.UDPMinimumSize})
	u.SetChecksum(^u.CalculateChecksum(header.PseudoHeaderChecksum(header.UDPProtocolNumber, src, to, header.UDPMinimumSize)))
	return s.ethernet([6]byte{0x52, 0x56, 0, 0, 0, 2}, protoIPv6, b)
}

const protoIPv6 = 0x86dd

// checkDrops compares query_stats with what was dropped, and nothing else was.
func checkDrops(t *testing.T, path string, want map[string]uint64) {
	t.Helper()
	got := asked[api.Stats](t, path, "query_stats").Drops
	for _, reason := range slices.Sorted(maps.Keys(got)) {
		if got[reason] != want[reason] {
			t.Errorf("%s: %d, want %d", reason, got[reason], want[reason])
		}
	}
	for reason := range want {
		if _, ok := got[reason]; !ok {
			t.Errorf("%s has no counter", reason)
		}
	}
}

// query_stats counts what is dropped by its reason: frames of a known number,
// each wrong in one way.
func TestAPIStatsOfDrops(t *testing.T) {
	t.Parallel()
	s, path := stationWithAPI(t, "--disable-host-loopback")
	none := func(header.IPv4) {}
	const inet, gateway, nameserver = "198.51.100.2", "10.0.2.2", "10.0.2.3"
	want := make(map[string]uint64)
	drop := func(reason string, times int, frame []byte) {
		for range times {
			s.send(frame)
		}
		want[reason] += uint64(times)
	}
	whole := s.packet(17, inet, udp(1000, 9, nil), none)
	badSum := slices.Clone(whole)
	badSum[14+10] ^= 1
	badPing := s.echo(gateway, 8)
	badPing[len(badPing)-1] ^= 1
	shortUDP := udp(1000, 9, nil)
	binary.BigEndian.PutUint16(shortUDP[4:], 9) // bytes, one more than there are

	drop("malformed", 2, whole[:14])          // nothing in it
	drop("malformed", 3, whole[:6])           // no header
	drop("malformed", 4, whole[:14+19])       // a short one
	drop("malformed", 5, whole[:14+27])       // cut off
	drop("malformed", 1, make([]byte, 66000)) // larger than any
	drop("malformed", 2, s.ethernet(everybody, protoARP, []byte{0, 1, 8, 0}))
	drop("malformed", 6, s.packet(17, inet, shortUDP, none))
	drop("bad_checksum", 7, badSum)
	drop("bad_checksum", 2, badPing)
	drop("unsupported", 3, s.ethernet(gatewayMAC, 0x1234, make([]byte, 60)))
	drop("unsupported", 4, s.udp6("fd00::3", 53)) // there is no IPv6
	drop("unsupported", 5, s.packet(132, inet, make([]byte, 20), none))
	drop("unsupported", 6, s.packet(1, inet, icmpMessage(13, 0, 1, 1, "timestamp"), none))
	drop("ttl_expired", 8, s.packet(17, inet, udp(1000, 9, nil), func(ip header.IPv4) { ip.SetTTL(1) }))
	drop("host_loopback_disabled", 9, s.packet(17, gateway, udp(1000, 9, nil), none))
	drop("host_loopback_disabled", 1, s.packet(17, "255.255.255.255", udp(1000, 9, nil), none))
	drop("nameserver_not_dns", 10, s.packet(17, nameserver, udp(1000, 54, nil), none))
	drop("bad_destination", 11, s.packet(17, "127.0.0.1", udp(1000, 9, nil), none))
	drop("bad_destination", 12, s.syn("127.0.0.1", lab.HostHTTPPort))
	drop("host_loopback_disabled", 13, s.syn(gateway, lab.HostHTTPPort))
	s.resolve(gateway) // which comes after all of them
	checkDrops(t, path, want)
}

// syn is the first segment of a connection.
func (s *station) syn(addr string, port uint16) []byte {
	return s.segment(netip.MustParseAddr(addr), port, header.TCPFlagSyn, 1000)
}

// With --disable-dns the nameserver's IPv6 address is nobody's, and what is for
// it is counted. That of IPv4 is the network's to answer for, as with the C
// program.
func TestAPIStatsOfDropsIPv6(t *testing.T) {
	t.Parallel()
	s, path := stationWithAPI(t, "--disable-dns", "--disable-host-loopback", "--enable-ipv6")
	for range 5 {
		s.send(s.udp6("fd00::3", 53))
	}
	for range 4 {
		s.send(s.udp6("fd00::2", 9))
	}
	for range 3 {
		s.send(s.udp6("fd00::77", 9))
	}
	s.resolve("10.0.2.2")
	checkDrops(t, path, map[string]uint64{"dns_disabled": 5, "host_loopback_disabled": 4, "bad_destination": 3})
}

// What a guest does not read is counted, frame by frame.
func TestAPIStatsOfFullDevice(t *testing.T) {
	t.Parallel()
	s, path := stationWithAPI(t)
	const sent = 8000
	ping := s.echo("10.0.2.2", 1400)
	for range sent {
		s.send(ping)
	}
	if !eventually(func() bool { return asked[api.Stats](t, path, "query_stats").ICMP.GuestPackets == sent }, false) {
		t.Fatal("not all of them have come")
	}
	replies := uint64(0)
	for s.await(time.Second, func(f []byte) bool { return len(f) == len(ping) && f[34] == 0 }) != nil {
		replies++
	}
	if replies == 0 || replies == sent {
		t.Errorf("%d of %d replies had room", replies, sent)
	}
	checkDrops(t, path, map[string]uint64{"tap_full": sent - replies})
}

// The switch counts apart: what it dropped did not get as far as the network.
func TestAPIStatsOfSwitch(t *testing.T) {
	t.Parallel()
	path := socketPath(t, user)
	b, first := startBESS(t, "--api-socket="+path)
	one := newStation(t, first, "10.0.2.100")
	two := newStation(t, b.Peer(t), "10.0.2.101")
	two.resolve("10.0.2.2")
	gateway := netip.MustParseAddr("10.0.2.2")
	for range 3 {
		one.send(one.ethernet(everybody, protoARP, arp(2, one.mac, gateway, two.mac, two.addr)))
	}
	for range 4 {
		one.send(one.ethernet(everybody, protoARP, []byte{0, 1, 8, 0}))
	}
	one.send(make([]byte, 66000))
	const frames = 8000
	toTwo := one.ethernet(two.mac, 0x1234, make([]byte, 1400))
	for range frames {
		one.send(toTwo)
	}
	one.resolve("10.0.2.2")
	read := uint64(0)
	for two.await(time.Second, func(f []byte) bool { return len(f) == len(toTwo) }) != nil {
		read++
	}
	want := api.Switch{Peers: 2, Spoofed: 3, Malformed: 5, QueueFull: frames - read}
	got := asked[api.Stats](t, path, "query_stats").Switch
	if got == nil || *got != want || read == 0 || read == frames {
		t.Errorf("%+v, want %+v; %d frames had room", got, want, read)
	}
	two.file.Close()
	if !eventually(func() bool { return asked[api.Stats](t, path, "query_stats").Switch.Peers == 1 }, false) {
		t.Error("a peer that has gone is still counted")
	}

	// More than there may be.
	const more = 150
	for range more {
		b.Peer(t)
	}
	var sw api.Switch
	if !eventually(func() bool {
		sw = *asked[api.Stats](t, path, "query_stats").Switch
		return uint64(sw.Peers)+sw.Refused == 1+more
	}, false) || sw.Refused == 0 {
		t.Errorf("of %d peers there are %d, and %d were refused", 1+more, sw.Peers, sw.Refused)
	}
}
