package datagram

import (
	"encoding/binary"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

// Types and codes of ICMPv6 errors (RFC 4443, section 3).
const (
	Type6Unreachable  = 1
	Type6PacketTooBig = 2
	Type6TimeExceeded = 3

	Code6NoRoute            = 0
	Code6AdminProhibited    = 1
	Code6AddressUnreachable = 3
	Code6PortUnreachable    = 4
)

// icmp6Len is the size in bytes of the header of all messages that we send.
const icmp6Len = 8

// quote6Max is how many bytes of the offending packet an ICMPv6 error carries:
// all that fits in the smallest MTU (RFC 4443, section 2.4).
const quote6Max = header.IPv6MinimumMTU - header.IPv6MinimumSize - icmp6Len

// error6 is Error for IPv6. What RFC 4443, section 2.4 lets nobody answer with
// an error is the same: errors, what was not sent by one host or to one.
// Neither does any ICMPv6 but an echo request need one.
func (s *Sender) error6(e ICMPError, packet []byte) {
	c, ok := link.WalkIPv6(packet)
	if !ok || c.Later {
		return
	}
	src := netip.AddrFrom16([16]byte(packet[8:24]))
	dst := netip.AddrFrom16([16]byte(packet[24:40]))
	if !src.IsGlobalUnicast() && !src.IsLinkLocalUnicast() || dst.IsMulticast() {
		return
	}
	if c.Proto == header.ICMPv6ProtocolNumber &&
		(len(packet) <= c.HdrLen || packet[c.HdrLen] != byte(header.ICMPv6EchoRequest)) {
		return
	}
	msg := [icmp6Len]byte{0: e.Type, 1: e.Code}
	binary.BigEndian.PutUint32(msg[4:], uint32(e.MTU))
	s.icmp6(e.Offender, src, msg, packet[:min(len(packet), quote6Max)], Meta{TTL: ttlICMP})
}

// echoReply6 is EchoReply for IPv6.
func (s *Sender) echoReply6(src, dst netip.Addr, rest []byte, m Meta) {
	msg := [icmp6Len]byte{0: byte(header.ICMPv6EchoReply)}
	copy(msg[4:], rest[:4])
	m.TTL = echoTTL(m)
	s.icmp6(src, dst, msg, rest[4:], m)
}

// ICMPv6 sends a message of at least 8 bytes with the hop limit that neighbour
// discovery demands, 255 (RFC 4861). Its checksum is put in on the way.
func (s *Sender) ICMPv6(src, dst netip.Addr, msg []byte) {
	s.icmp6(src, dst, [icmp6Len]byte(msg), msg[icmp6Len:], Meta{TTL: ttlICMP})
}

func (s *Sender) icmp6(src, dst netip.Addr, msg [icmp6Len]byte, payload []byte, m Meta) {
	size := len(msg) + len(payload)
	if size > header.IPv6MaximumPayloadSize {
		return // no host socket hands us one
	}
	f := ip6Fields{src: src, dst: dst, next: uint8(header.ICMPv6ProtocolNumber), hopLimit: m.TTL, class: m.TOS}
	msg[2], msg[3] = 0, 0
	sum := checksum.Checksum(msg[:], f.pseudo(size))
	binary.BigEndian.PutUint16(msg[2:], ^checksum.Checksum(payload, sum))
	sc := newScratch6()
	defer scratches6.Put(sc)
	copy(sc.b[header.IPv6MinimumSize:], msg[:])
	s.send6(f, sc, len(msg), payload)
}
