package link

import (
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// RouterMAC6 is the source of IPv6 frames, the C program's for fe80::2.
var RouterMAC6 = MAC{0x52, 0x56, 0, 0, 0, 2}

// receiveIPv6 checks a packet and gives it to the Receiver, or to netstack:
// TCP and fragments.
//
// netstack has a mind of its own about ICMPv6: it answers neighbour
// solicitations for all addresses, and heeds router advertisements. So none
// gets there, not even in fragments, which RFC 6980 forbids.
func (r *reader) receiveIPv6(b []byte, from MAC, h *VnetHdr) {
	e := r.e
	if !e.ipv6 {
		e.stats.Unsupported.Add(1)
		return
	}
	ip := header.IPv6(b)
	if len(b) < header.IPv6MinimumSize || b[0]>>4 != 6 {
		e.stats.Malformed.Add(1)
		return
	}
	// A length of 0 announces a jumbogram (RFC 2675), for which no link of
	// ours has room.
	total := header.IPv6MinimumSize + int(ip.PayloadLength())
	if ip.PayloadLength() == 0 || total > len(b) {
		e.stats.Malformed.Add(1)
		return
	}
	b = b[:total]
	c, ok := WalkIPv6(b)
	src := netip.AddrFrom16([16]byte(b[8:24]))
	if !ok || src.IsMulticast() || src.Is4In6() || src.IsLoopback() || e.ours6(src) {
		e.stats.Malformed.Add(1)
		return
	}
	msg := b[c.HdrLen:]
	if !c.Fragment && !h.NeedsCsum && !h.DataValid && !transportSumOK(c.Proto, b[8:40], msg) {
		e.stats.BadChecksum.Add(1)
		return
	}
	if !h.finishInner(b, c.HdrLen) {
		e.stats.Malformed.Add(1)
		return
	}
	if src.IsUnspecified() && !(c.Proto == header.ICMPv6ProtocolNumber && !c.Fragment && beforeAddress(msg)) {
		e.stats.Malformed.Add(1) // nobody could be answered
		return
	}
	e.stats.FromGuest.count(b, len(b))
	e.neigh.learn(src, from, r.port, false)
	if c.Fragment || c.Proto != header.TCPProtocolNumber {
		r.overtakes()
	}
	if c.Proto == header.ICMPv6ProtocolNumber && !c.Fragment {
		e.heed(b, msg, from, r.port)
	}
	switch {
	case c.Later:
		// Useless without the first, which is looked at.
	case c.Fragment:
		if !reassemble(c, msg) {
			e.stats.Unsupported.Add(1)
			return
		}
	case e.recv != nil:
		p := Packet{Bytes: b, Proto: c.Proto, HdrLen: c.HdrLen, More: r.more, Port: r.port}
		if h.GSO == GSOUDP {
			p.SegSize = int(h.SegSize)
		}
		if e.recv(p) {
			return
		}
	}
	hdrLen := 0
	if !c.Fragment && c.Proto == header.TCPProtocolNumber {
		hdrLen = c.HdrLen
	}
	r.deliver(header.IPv6ProtocolNumber, b, hdrLen)
}

// ours6 tells whether a is an IPv6 address of ours.
func (e *Endpoint) ours6(a netip.Addr) bool { return slices.Contains(e.addrs6, a) }

// beforeAddress tells whether an ICMPv6 message is one that a guest sends while
// it has no address: all but echo requests, which are to be answered.
func beforeAddress(msg []byte) bool {
	return len(msg) > 0 && msg[0] != byte(header.ICMPv6EchoRequest)
}

// reassemble tells whether netstack shall reassemble the packet whose first
// fragment has msg behind its headers.
func reassemble(c Chain, msg []byte) bool {
	switch c.Proto {
	case header.TCPProtocolNumber:
		return !tinyTCP(msg)
	case header.UDPProtocolNumber:
		return len(msg) >= header.UDPMinimumSize
	case header.ICMPv6ProtocolNumber:
		return len(msg) > 0 && msg[0] == byte(header.ICMPv6EchoRequest)
	}
	return false
}
