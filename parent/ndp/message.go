package ndp

import (
	"encoding/binary"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Sizes in bytes of the messages without options (RFC 4861, section 4).
const (
	routerSolicitLen   = 8
	routerAdvertLen    = 16
	neighbourAdvertLen = 24 // the solicitation's too
)

// Options by type: RFC 4861, section 4.6; RFC 8106, section 5.1. Their lengths
// are counted in units of 8 bytes.
const (
	optSourceMAC = 1
	optTargetMAC = 2
	optPrefix    = 3
	optMTU       = 5
	optRDNSS     = 25
	optUnit      = 8
)

// Flags of a neighbour advertisement: a router's, an answer, and to be kept
// in place of what is known.
const (
	flagRouter    = 0x80
	flagSolicited = 0x40
	flagOverride  = 0x20
)

// Flags of a prefix: on-link, and for autoconfiguration.
const (
	flagOnLink     = 0x80
	flagAutonomous = 0x40
)

// hopLimit is the one that a message must arrive with, as proof that no router
// has passed it on.
const hopLimit = 255

var (
	allNodes = netip.MustParseAddr("ff02::1")
	// solicitedNode is the prefix of the multicast addresses that
	// solicitations are sent to (RFC 4291, section 2.7.1).
	solicitedNode = netip.MustParsePrefix("ff02::1:ff00:0/104")
)

// options checks a message's options and tells whether there is one with the
// sender's Ethernet address.
func options(b []byte) (hasSource, ok bool) {
	for len(b) > 0 {
		if len(b) < optUnit || b[1] == 0 || len(b) < int(b[1])*optUnit {
			return false, false
		}
		hasSource = hasSource || b[0] == optSourceMAC
		b = b[int(b[1])*optUnit:]
	}
	return hasSource, true
}

func appendMAC(b []byte, kind byte, mac [6]byte) []byte {
	return append(append(b, kind, 1), mac[:]...)
}

func appendMTU(b []byte, mtu uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, optMTU, 1, 0, 0), mtu)
}

func appendPrefix(b []byte, p netip.Prefix, valid, preferred time.Duration) []byte {
	b = append(b, optPrefix, 4, byte(p.Bits()), flagOnLink|flagAutonomous)
	b = binary.BigEndian.AppendUint32(b, seconds(valid))
	b = binary.BigEndian.AppendUint32(b, seconds(preferred))
	b = append(b, 0, 0, 0, 0)
	return append(b, p.Addr().AsSlice()...)
}

func appendNameserver(b []byte, a netip.Addr, lifetime time.Duration) []byte {
	b = append(b, optRDNSS, 3, 0, 0)
	b = binary.BigEndian.AppendUint32(b, seconds(lifetime))
	return append(b, a.AsSlice()...)
}

func seconds(d time.Duration) uint32 { return uint32(d / time.Second) }

// neighbourAdvert says that target has the Ethernet address mac.
func neighbourAdvert(target netip.Addr, mac [6]byte, flags byte) []byte {
	b := make([]byte, 8, neighbourAdvertLen+optUnit)
	b[0], b[4] = byte(header.ICMPv6NeighborAdvert), flags
	b = append(b, target.AsSlice()...)
	return appendMAC(b, optTargetMAC, mac)
}
