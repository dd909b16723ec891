package e2e

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// station is a guest without a kernel: it sends and receives frames by hand,
// each a message of a socket.
type station struct {
	t    *testing.T
	file *os.File
	mac  [6]byte
	addr netip.Addr
	buf  []byte
	port uint16 // of the last handshake: each has one of its own
}

func newStation(t *testing.T, file *os.File, addr string) *station {
	a := netip.MustParseAddr(addr)
	b := a.As4()
	return &station{t, file, [6]byte{2, 0, b[0], b[1], b[2], b[3]}, a, make([]byte, 1<<17), 40000}
}

// send sends a message, which may be no frame.
func (s *station) send(b []byte) {
	s.t.Helper()
	s.file.SetWriteDeadline(time.Now().Add(commandTimeout))
	if _, err := s.file.Write(b); err != nil {
		s.t.Fatalf("%v sends %d bytes: %v", s.addr, len(b), err)
	}
}

// want waits for a frame, and passes over all others.
func (s *station) want(what string, is func(frame []byte) bool) []byte {
	s.t.Helper()
	f := s.await(commandTimeout, is)
	if f == nil {
		s.t.Fatalf("%v: no %s", s.addr, what)
	}
	return f
}

// await is want within a time; nil: it did not come. The frame is good until the
// next one is waited for.
func (s *station) await(within time.Duration, is func(frame []byte) bool) []byte {
	s.t.Helper()
	s.file.SetReadDeadline(time.Now().Add(within))
	for {
		n, err := s.file.Read(s.buf)
		if err != nil {
			return nil
		}
		if n >= 14 && is(s.buf[:n]) {
			return s.buf[:n]
		}
	}
}

// ethernet is a frame of the station's.
func (s *station) ethernet(to [6]byte, proto uint16, payload []byte) []byte {
	f := append(append([]byte{}, to[:]...), s.mac[:]...)
	return append(binary.BigEndian.AppendUint16(f, proto), payload...)
}

var (
	everybody  = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	gatewayMAC = [6]byte{0x52, 0x55, 10, 0, 2, 2}
)

const (
	protoIPv4 = 0x0800
	protoARP  = 0x0806
)

// arp is an ARP packet for Ethernet.
func arp(op uint16, fromMAC [6]byte, from netip.Addr, toMAC [6]byte, to netip.Addr) []byte {
	b := []byte{0, 1, 8, 0, 6, 4}
	b = binary.BigEndian.AppendUint16(b, op)
	b = append(append(b, fromMAC[:]...), from.AsSlice()...)
	return append(append(b, toMAC[:]...), to.AsSlice()...)
}

// resolve asks who has an address, and returns the Ethernet address.
func (s *station) resolve(addr string) [6]byte {
	s.t.Helper()
	target := netip.MustParseAddr(addr)
	s.send(s.ethernet(everybody, protoARP, arp(1, s.mac, s.addr, [6]byte{}, target)))
	f := s.want("ARP reply from "+addr, func(f []byte) bool {
		return binary.BigEndian.Uint16(f[12:]) == protoARP && f[21] == 2 && [4]byte(f[28:32]) == target.As4()
	})
	return [6]byte(f[22:28])
}

// ipv4 is a packet with a right checksum.
func ipv4(proto tcpip.TransportProtocolNumber, src, dst netip.Addr, payload []byte) []byte {
	b := make([]byte, header.IPv4MinimumSize, header.IPv4MinimumSize+len(payload))
	ip := header.IPv4(b)
	ip.Encode(&header.IPv4Fields{
		TotalLength: uint16(cap(b)), TTL: 64, Protocol: uint8(proto),
		SrcAddr: tcpip.AddrFrom4(src.As4()), DstAddr: tcpip.AddrFrom4(dst.As4()),
	})
	ip.SetChecksum(^ip.CalculateChecksum())
	return append(b, payload...)
}

// udp is a datagram without a checksum, as IPv4 allows.
func udp(from, to uint16, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, from)
	b = binary.BigEndian.AppendUint16(b, to)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...)
}

// handshake connects to a TCP port with bare segments, and closes by RST.
func (s *station) handshake(addr string, port uint16) {
	s.t.Helper()
	s.connect(netip.MustParseAddr(addr), port)
	s.send(s.segment(netip.MustParseAddr(addr), port, header.TCPFlagRst, 1001))
}

// connect sends a SYN with the number 1000, and returns the number of the one
// that comes.
func (s *station) connect(to netip.Addr, port uint16) uint32 {
	s.t.Helper()
	s.port++
	s.send(s.segment(to, port, header.TCPFlagSyn, 1000))
	f := s.want(fmt.Sprintf("SYN-ACK from %v:%d", to, port), func(f []byte) bool {
		return len(f) >= 14+20+20 && binary.BigEndian.Uint16(f[12:]) == protoIPv4 && f[23] == 6 &&
			header.TCP(f[34:]).Flags() == header.TCPFlagSyn|header.TCPFlagAck && header.TCP(f[34:]).DestinationPort() == s.port
	})
	got := header.TCP(f[34:])
	if got.AckNumber() != 1001 || got.SourcePort() != port {
		s.t.Errorf("SYN-ACK acknowledges %d from port %d", got.AckNumber(), got.SourcePort())
	}
	return got.SequenceNumber()
}

// segment is a bare one that acknowledges nothing.
func (s *station) segment(to netip.Addr, port uint16, flags header.TCPFlags, seq uint32) []byte {
	return s.segmentWith(to, port, flags, seq, 0, nil)
}

// segmentWith is one with data.
func (s *station) segmentWith(to netip.Addr, port uint16, flags header.TCPFlags, seq, ack uint32, data []byte) []byte {
	b := append(make([]byte, header.TCPMinimumSize), data...)
	h := header.TCP(b)
	h.Encode(&header.TCPFields{SrcPort: s.port, DstPort: port, SeqNum: seq, AckNum: ack,
		DataOffset: header.TCPMinimumSize, Flags: flags, WindowSize: 65535})
	sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, tcpip.AddrFrom4(s.addr.As4()), tcpip.AddrFrom4(to.As4()), uint16(len(b)))
	h.SetChecksum(^checksum.Checksum(b, sum))
	return s.ethernet(gatewayMAC, protoIPv4, ipv4(header.TCPProtocolNumber, s.addr, to, b))
}

// dhcp sends a message of a DHCP client, and returns the answer; nil: there was
// none in time.
func (s *station) dhcp(within time.Duration, kind dhcpv4.MessageType, options ...dhcpv4.Option) *dhcpv4.DHCPv4 {
	s.t.Helper()
	d, err := dhcpv4.NewDiscovery(s.mac[:])
	if err != nil {
		s.t.Fatal(err)
	}
	d.UpdateOption(dhcpv4.OptMessageType(kind))
	for _, o := range options {
		d.UpdateOption(o)
	}
	s.send(s.ethernet(everybody, protoIPv4, ipv4(header.UDPProtocolNumber, netip.IPv4Unspecified(),
		netip.AddrFrom4([4]byte{255, 255, 255, 255}), udp(68, 67, d.ToBytes()))))
	var answer *dhcpv4.DHCPv4
	if s.await(within, func(f []byte) bool {
		if len(f) < 42 || f[23] != 17 || binary.BigEndian.Uint16(f[36:]) != 68 {
			return false
		}
		answer, err = dhcpv4.FromBytes(f[42:])
		return err == nil && answer.TransactionID == d.TransactionID
	}) == nil {
		return nil
	}
	return answer
}

// discover gets an offer by DHCP.
func (s *station) discover() netip.Addr {
	s.t.Helper()
	offer := s.dhcp(commandTimeout, dhcpv4.MessageTypeDiscover)
	if offer == nil || offer.MessageType() != dhcpv4.MessageTypeOffer {
		s.t.Fatalf("%v: no DHCPOFFER but %v", s.addr, offer)
	}
	a, _ := netip.AddrFromSlice(offer.YourIPAddr.To4())
	return a
}

// request asks for an address by DHCP, and tells whether it was granted.
func (s *station) request(a netip.Addr) bool {
	s.t.Helper()
	answer := s.dhcp(commandTimeout, dhcpv4.MessageTypeRequest, dhcpv4.OptRequestedIPAddress(a.AsSlice()))
	if answer == nil {
		s.t.Fatalf("%v: no answer to its request for %v", s.addr, a)
	}
	return answer.MessageType() == dhcpv4.MessageTypeAck
}

// echo is an echo request with size bytes of payload.
func (s *station) echo(to string, size int) []byte {
	b := make([]byte, header.ICMPv4MinimumSize+size)
	h := header.ICMPv4(b)
	h.SetType(header.ICMPv4Echo)
	h.SetChecksum(^checksum.Checksum(b, 0))
	return s.ethernet(gatewayMAC, protoIPv4, ipv4(header.ICMPv4ProtocolNumber, s.addr, netip.MustParseAddr(to), b))
}

// nonsense is what is no frame, or one that nobody can make anything of.
func (s *station) nonsense() {
	s.t.Helper()
	for _, n := range []int{0, 1, 6, 12, 13, 14, 15, 33} {
		f := s.ethernet(gatewayMAC, protoIPv4, make([]byte, 33))
		s.send(f[:n])
	}
	s.send(make([]byte, 66000)) // larger than any frame
	s.send(s.ethernet(everybody, protoARP, []byte{0, 1, 8, 0}))
	s.send(s.ethernet([6]byte{}, 0xffff, make([]byte, 1500)))
}

// cpuTime is how long a process has been running on any processor.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ") // proc_pid_stat(5)
	fields := strings.Fields(rest)
	var ticks int
	for _, f := range fields[11:13] { // utime, stime
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	const perSecond = 100 // USER_HZ
	return time.Duration(ticks) * time.Second / perSecond
}

// checkIdle finds out that a process with nothing to do does nothing.
func checkIdle(t *testing.T, pid int) {
	t.Helper()
	const look = 2 * time.Second
	before := cpuTime(t, pid)
	time.Sleep(look)
	if used := cpuTime(t, pid) - before; used > look/10 {
		t.Errorf("it used %v of processor time in %v with nothing to do", used, look)
	}
}
