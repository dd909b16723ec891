package e2e

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// routerMAC is that of our IPv6 frames.
var routerMAC = [6]byte{0x52, 0x56, 0, 0, 0, 2}

// ICMPv6 messages by type (RFC 4443, RFC 4861).
const (
	routerSolicitation   = 133
	routerAdvertisement  = 134
	neighbourSolicit     = 135
	neighbourAdvert      = 136
	echoRequest6         = 128
	echoReply6           = 129
	listenerReport2      = 143
	hopByHopHeader       = 0
	routingHeader        = 43
	fragmentHeader       = 44
	destinationOptions   = 60
	neighbourHops        = 255
	usualHops            = 64
	crafted              = 40404 // port and identifier of crafted packets
	fragmentMore         = 1
	fragmentHeaderLength = 8
)

// station6 is a station that speaks IPv6.
type station6 struct {
	*station
	addr netip.Addr
}

// newStation6 starts a slirp4netns with -6 and is its guest.
func newStation6(t *testing.T, args ...string) *station6 {
	t.Helper()
	_, file := tapfdSocket(t, unix.SOCK_SEQPACKET, append([]string{"-6"}, args...)...)
	return &station6{newStation(t, file, "10.0.2.100"), netip.MustParseAddr(guest6)}
}

// packet6 is an IPv6 packet whose header is followed by one of number next.
func packet6(next, hops uint8, src, dst netip.Addr, payload []byte) []byte {
	b := make([]byte, header.IPv6MinimumSize, header.IPv6MinimumSize+len(payload))
	b[0], b[6], b[7] = 6<<4, next, hops
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	copy(b[8:], src.AsSlice())
	copy(b[24:], dst.AsSlice())
	return append(b, payload...)
}

// sum6 puts the checksum at offset at of a message.
func sum6(proto tcpip.TransportProtocolNumber, src, dst netip.Addr, msg []byte, at int) []byte {
	sum := header.PseudoHeaderChecksum(proto, tcpip.AddrFrom16(src.As16()), tcpip.AddrFrom16(dst.As16()), uint16(len(msg)))
	binary.BigEndian.PutUint16(msg[at:], ^checksum.Checksum(msg, sum))
	return msg
}

// icmp6 is an ICMPv6 message with its checksum.
func icmp6(kind, code uint8, src, dst netip.Addr, body []byte) []byte {
	return sum6(header.ICMPv6ProtocolNumber, src, dst, append([]byte{kind, code, 0, 0}, body...), 2)
}

// udp6 is a datagram with its checksum.
func udp6(from, to netip.AddrPort, payload []byte) []byte {
	return sum6(header.UDPProtocolNumber, from.Addr(), to.Addr(), udp(from.Port(), to.Port(), payload), 6)
}

// send6 sends an IPv6 packet in a frame to us.
func (s *station6) send6(packet []byte) { s.station.send(s.ethernet(routerMAC, protoIPv6, packet)) }

// echo6 is an echo request to dst; UDP6 a datagram to its port 7.
func (s *station6) echo6(dst string, payload []byte) (proto uint8, dstAddr netip.Addr, msg []byte) {
	d := netip.MustParseAddr(dst)
	body := append([]byte{crafted >> 8, crafted & 0xff, 0, 1}, payload...)
	return unix.IPPROTO_ICMPV6, d, icmp6(echoRequest6, 0, s.addr, d, body)
}

func (s *station6) datagram6(dst string, payload []byte) (proto uint8, dstAddr netip.Addr, msg []byte) {
	d := netip.MustParseAddr(dst)
	return unix.IPPROTO_UDP, d, udp6(netip.AddrPortFrom(s.addr, crafted), netip.AddrPortFrom(d, lab.EchoPort), payload)
}

// frame6 is an IPv6 packet as it came.
type frame6 struct {
	to, from [6]byte
	src, dst netip.Addr
	hops     uint8
	proto    uint8
	msg      []byte
}

// parse6 reads a frame; nil if it is not IPv6. Ours have no extension headers
// but for fragments.
func parse6(f []byte) *frame6 {
	if len(f) < 14+40 || binary.BigEndian.Uint16(f[12:]) != protoIPv6 {
		return nil
	}
	ip := f[14:]
	return &frame6{
		to: [6]byte(f[:6]), from: [6]byte(f[6:12]),
		src: netip.AddrFrom16([16]byte(ip[8:24])), dst: netip.AddrFrom16([16]byte(ip[24:40])),
		hops: ip[7], proto: ip[6], msg: append([]byte(nil), ip[40:]...),
	}
}

// String says what it is: "echo reply from A", "datagram from A",
// "advertisement of A to B", "ICMPv6 3/1 from A".
func (f *frame6) String() string {
	switch {
	case f.proto == unix.IPPROTO_UDP:
		return fmt.Sprintf("datagram from %s", f.src)
	case f.proto == unix.IPPROTO_TCP && f.msg[13]&0x12 == 0x12:
		return fmt.Sprintf("SYN-ACK from %s", f.src)
	case f.proto != unix.IPPROTO_ICMPV6:
		return fmt.Sprintf("protocol %d from %s", f.proto, f.src)
	case f.msg[0] == echoReply6:
		return fmt.Sprintf("echo reply from %s", f.src)
	case f.msg[0] == neighbourAdvert:
		return fmt.Sprintf("advertisement of %s to %s", netip.AddrFrom16([16]byte(f.msg[8:24])), f.dst)
	}
	return fmt.Sprintf("ICMPv6 %d/%d from %s", f.msg[0], f.msg[1], f.src)
}

// next6 is the next frame of IPv6 that is not a router advertisement to all,
// nil if none comes in time.
func (s *station6) next6(within time.Duration) *frame6 {
	s.t.Helper()
	var got *frame6
	s.await(within, func(f []byte) bool {
		p := parse6(f)
		if p == nil || p.proto == unix.IPPROTO_ICMPV6 && p.msg[0] == routerAdvertisement && p.dst.IsMulticast() {
			return false
		}
		got = p
		return true
	})
	return got
}

// answer6 is what comes back, "" for nothing.
func (s *station6) answer6(expected bool) string {
	s.t.Helper()
	f := s.answerFrame6(expected)
	if f == nil {
		return ""
	}
	return f.String()
}

// answerFrame6 is what comes back, nil for nothing. If nothing is expected, it
// waits for a moment, and then for the answer to a ping, which is sent after
// what is asked about.
func (s *station6) answerFrame6(expected bool) *frame6 {
	s.t.Helper()
	if expected {
		return s.next6(commandTimeout)
	}
	if f := s.next6(20 * time.Millisecond); f != nil {
		return f
	}
	proto, dst, msg := s.echo6(gateway6, []byte("still there?"))
	s.send6(packet6(proto, usualHops, s.addr, dst, msg))
	f := s.next6(commandTimeout)
	if f == nil {
		s.t.Fatal("it does not answer any more")
	}
	if f.String() != "echo reply from "+gateway6 || string(f.msg[8:]) != "still there?" {
		return f
	}
	return nil
}

// syn6 is the first segment of a connection.
func syn6(from, to netip.AddrPort) []byte {
	b := make([]byte, header.TCPMinimumSize)
	header.TCP(b).Encode(&header.TCPFields{SrcPort: from.Port(), DstPort: to.Port(), SeqNum: 1000,
		DataOffset: header.TCPMinimumSize, Flags: header.TCPFlagSyn, WindowSize: 65535})
	return sum6(header.TCPProtocolNumber, from.Addr(), to.Addr(), b, header.TCPChecksumOffset)
}
