package link

import (
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Kinds of traffic that are counted apart.
const (
	KindTCP = iota
	KindUDP
	KindICMP
	KindOther // other protocols, and IPv6 with extension headers
	kinds
)

// Traffic counts valid packets of one direction, by kind. What the kernel hands
// over or takes in one piece, for one of the two to cut up, is one packet.
type Traffic [kinds]struct {
	Packets atomic.Uint64
	Bytes   atomic.Uint64 // from the IP header on
}

// count notes a packet of size bytes that begins with ip.
func (t *Traffic) count(ip []byte, size int) {
	c := &t[kindOf(ip)]
	c.Packets.Add(1)
	c.Bytes.Add(uint64(size))
}

// kindOf is the kind of the packet that begins with an IP header.
func kindOf(ip []byte) int {
	proto := ip[9]
	if ip[0]>>4 == 6 {
		proto = ip[6]
	}
	switch proto {
	case uint8(header.TCPProtocolNumber):
		return KindTCP
	case uint8(header.UDPProtocolNumber):
		return KindUDP
	case uint8(header.ICMPv4ProtocolNumber), uint8(header.ICMPv6ProtocolNumber):
		return KindICMP
	}
	return KindOther
}
