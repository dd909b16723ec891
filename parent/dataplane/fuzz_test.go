package dataplane

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/ipc/tun"
	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

// Where packets of FuzzGuest may go: to addresses from which nothing leaves.
var (
	fuzzTo4 = []string{"10.0.2.2", "10.0.2.3", "255.255.255.255", "127.0.0.1", "0.0.0.0"}
	fuzzTo6 = []string{"fd00::2", "fd00::3", "fe80::2", "ff02::1", "ff02::2", "ff02::1:2", "fd00::77", "::1"}
)

// Bits of the byte that begins a packet of FuzzGuest; the rest chooses where
// it goes.
const (
	fuzzV6     = 0x80
	fuzzRepair = 0x40 // make the transport checksum right
)

// FuzzGuest: whatever packets the guest sends, in whatever order, the plane
// goes on, and all that it sends is well-formed. The input is a list of
// packets, each with a byte and its length before it. One plane has them all,
// so what makes it fail may be the sum of what came before.
func FuzzGuest(f *testing.F) {
	udp4 := udpPacket(guestAddr, nameserver, 4000, 53, []byte("\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02gw\x00\x00\x01\x00\x01"))
	first, last := append([]byte(nil), udp4[:36]...), append([]byte(nil), udp4[:20]...)
	first[6] |= 0x20
	last[7] = 2
	f.Add(fuzzPacket(1|fuzzRepair, udp4))
	f.Add(append(fuzzPacket(1, first), fuzzPacket(1, append(last, udp4[36:]...))...))
	f.Add(fuzzPacket(2|fuzzRepair, udpPacket(netip.IPv4Unspecified(), gateway, 68, 67, make([]byte, 300))))
	for _, seed := range []struct {
		kind, next byte
		payload    string
	}{
		{2, 58, "\x80\x00\x00\x00\x00\x01\x00\x01ping"},
		{4, 58, "\x85\x00\x00\x00\x00\x00\x00\x00\x01\x01\x02\x00\x00\x00\x00\x01"},
		{3, 58, "\x87\x00\x00\x00\x00\x00\x00\x00\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x01\x01\x02\x00\x00\x00\x00\x01"},
		{5, 17, "\x02\x22\x02\x23\x00\x14\x00\x00\x0b123\x00\x01\x00\x04abcd"},
		{0, 6, "\x10\x00\x1f\x40\x00\x00\x00\x00\x00\x00\x00\x00\x50\x02\xff\xff\x00\x00\x00\x00"},
		{0, 44, "\x11\x00\x00\x01\x00\x00\x00\x07\x00\x01\x00\x35\x00\x10\x00\x00"},
		{0, 1, "\x01\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
	} {
		f.Add(fuzzPacket(seed.kind|fuzzV6|fuzzRepair, ipv6Packet(seed.next, []byte(seed.payload))))
	}
	fd := newFuzzPlane(f)
	b := make([]byte, 70000)
	f.Fuzz(func(t *testing.T, input []byte) {
		for n := 0; n < 8 && len(input) > 3; n++ {
			size := min(int(binary.BigEndian.Uint16(input[1:])), len(input)-3)
			fuzzSend(t, fd, input[0], input[3:3+size])
			input = input[3+size:]
		}
		// Frames have their turn one after the other.
		fuzzWrite(t, fd, arpRequest(gateway))
		for {
			n, err := unix.Read(fd, b)
			if err == unix.EINTR { // the engine's timers
				continue
			}
			if err != nil {
				t.Fatalf("no answer to ARP within 10 s: %v", err)
			}
			if binary.BigEndian.Uint16(b[12:]) == uint16(header.ARPProtocolNumber) {
				return
			}
			wellFormed(t, b[header.EthernetMinimumSize:n])
		}
	})
}

// fuzzPacket is part of FuzzGuest's input.
func fuzzPacket(kind byte, packet []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(packet))), packet...)
}

// newFuzzPlane starts a Plane of which nothing leaves this machine, and
// returns the guest's end of its link.
func newFuzzPlane(f *testing.F) int {
	f.Helper()
	resolver, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}) // answers nothing
	if err != nil {
		f.Fatal(err)
	}
	a := resolver.LocalAddr().(*net.UDPAddr).AddrPort()
	cfg := Config{
		MTU: testMTU, Network: netip.MustParsePrefix("10.0.2.0/24"), Gateway: gateway, Nameserver: nameserver,
		EnableIPv6: true, Network6: netip.MustParsePrefix("fd00::/64"),
		Gateway6: netip.MustParseAddr("fd00::2"), Nameserver6: netip.MustParseAddr("fd00::3"),
		FirstLease: netip.MustParseAddr("10.0.2.15"), Recommended: guestAddr, DisableHostLoopback: true,
		ResolvConf: "/nonexistent",
		DNS:        DNS{Servers: []netip.AddrPort{netip.AddrPortFrom(a.Addr().Unmap(), a.Port())}, HostNames: []string{"gw"}},
	}
	p, err := New(cfg)
	if err != nil {
		f.Fatal(err)
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		f.Fatal(err)
	}
	if err := p.Start(fds[0], tun.Features{Name: "pair"}); err != nil {
		f.Fatal(err)
	}
	if err := unix.SetsockoptTimeval(fds[1], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		p.Close()
		unix.Close(fds[1])
		resolver.Close()
	})
	return fds[1]
}

// fuzzSend sends a packet to one of the addresses that it may go to.
func fuzzSend(t *testing.T, fd int, kind byte, packet []byte) {
	b := append([]byte(nil), packet...)
	proto := header.IPv4ProtocolNumber
	where := int(kind &^ (fuzzV6 | fuzzRepair))
	if kind&fuzzV6 == 0 {
		if ip := header.IPv4(b); len(b) >= header.IPv4MinimumSize {
			copy(b[16:], netip.MustParseAddr(fuzzTo4[where%len(fuzzTo4)]).AsSlice())
			if hdr := int(ip.HeaderLength()); hdr <= len(b) {
				b[10], b[11] = 0, 0
				binary.BigEndian.PutUint16(b[10:], ^checksum.Checksum(b[:hdr], 0))
				if kind&fuzzRepair != 0 {
					repair(b[hdr:], b[12:20], ip.TransportProtocol())
				}
			}
		}
	} else {
		proto = header.IPv6ProtocolNumber
		if len(b) >= header.IPv6MinimumSize {
			copy(b[24:], netip.MustParseAddr(fuzzTo6[where%len(fuzzTo6)]).AsSlice())
			if c, ok := link.WalkIPv6(b); ok && kind&fuzzRepair != 0 {
				repair(b[c.HdrLen:], b[8:40], c.Proto)
			}
		}
	}
	fuzzWrite(t, fd, frame(proto, b))
}

func fuzzWrite(t *testing.T, fd int, f []byte) {
	t.Helper()
	for {
		if _, err := unix.Write(fd, f); err != unix.EINTR {
			if err != nil {
				t.Fatal(err)
			}
			return
		}
	}
}

// repair makes the checksum of a transport message right.
func repair(msg, addrs []byte, proto tcpip.TransportProtocolNumber) {
	off := map[tcpip.TransportProtocolNumber]int{
		header.TCPProtocolNumber: 16, header.UDPProtocolNumber: 6, header.ICMPv4ProtocolNumber: 2, header.ICMPv6ProtocolNumber: 2,
	}[proto]
	if off == 0 || len(msg) < off+2 {
		return
	}
	var sum uint16
	if proto != header.ICMPv4ProtocolNumber {
		sum = checksum.Combine(checksum.Checksum(addrs, uint16(proto)), uint16(len(msg)))
	}
	msg[off], msg[off+1] = 0, 0
	binary.BigEndian.PutUint16(msg[off:], ^checksum.Checksum(msg, sum))
}

// wellFormed fails unless b is a packet with the length that it says and right
// checksums.
func wellFormed(t *testing.T, b []byte) {
	t.Helper()
	p := link.Packet{Bytes: b}
	switch {
	case len(b) > testMTU:
	case len(b) >= header.IPv6MinimumSize && b[0]>>4 == 6:
		p.Proto, p.HdrLen = tcpip.TransportProtocolNumber(b[6]), header.IPv6MinimumSize
		if c, ok := link.WalkIPv6(b); ok && int(header.IPv6(b).PayloadLength())+header.IPv6MinimumSize == len(b) && (c.Fragment || link.ChecksumOK(p)) {
			return
		}
	case len(b) >= header.IPv4MinimumSize && b[0] == 0x45:
		ip := header.IPv4(b)
		p.Proto, p.HdrLen = ip.TransportProtocol(), header.IPv4MinimumSize
		whole := !ip.More() && ip.FragmentOffset() == 0
		if ip.IsChecksumValid() && int(ip.TotalLength()) == len(b) && (!whole || link.ChecksumOK(p)) {
			return
		}
	}
	t.Errorf("the plane sent % x", b)
}

// arpRequest is the frame by which the guest asks for an address.
func arpRequest(target netip.Addr) []byte {
	b := []byte{0, 1, 8, 0, 6, 4, 0, 1}
	b = append(append(b, guestMAC[:]...), guestAddr.AsSlice()...)
	b = append(append(b, make([]byte, 6)...), target.AsSlice()...)
	return frame(header.ARPProtocolNumber, b)
}

// ipv6Packet is a packet of the guest. next announces payload, which may begin
// with extension headers.
func ipv6Packet(next byte, payload []byte) []byte {
	b := make([]byte, header.IPv6MinimumSize, header.IPv6MinimumSize+len(payload))
	b[0], b[6], b[7] = 6<<4, next, 255
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	copy(b[8:], guestAddr6.AsSlice())
	return append(b, payload...)
}
