package link

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Extension headers as described in RFC 8200, section 4, by the number that
// announces each.
const (
	hopByHop           = 0
	routingHeader      = 43
	fragmentHeader     = 44
	destinationOptions = 60

	fragmentLen = 8 // bytes
	// maxExtensions bounds how many a packet may have. RFC 8200 knows of five
	// in a sensible one; a router may drop what it does not like the look of
	// (RFC 7045).
	maxExtensions = 8
)

// Chain says what an IPv6 packet's header is followed by.
type Chain struct {
	// Proto is the first header that is no extension header. In a fragment
	// other than the first it is only what that fragment says of the first.
	Proto tcpip.TransportProtocolNumber
	// HdrLen is how many bytes come before it.
	HdrLen int
	// Fragment tells whether there is a fragment header, and Later whether
	// the fragment is not the first.
	Fragment, Later bool
}

// WalkIPv6 walks the extension headers of an IPv6 packet, which may be cut off
// after them. It reports false when they are malformed, or ask for something
// that this end cannot do, so that the packet has to be dropped.
func WalkIPv6(b []byte) (c Chain, ok bool) {
	if len(b) < header.IPv6MinimumSize || b[0]>>4 != 6 {
		return c, false
	}
	next, off := b[6], header.IPv6MinimumSize
	for n := 0; ; n++ {
		size := 0
		switch next {
		case hopByHop, destinationOptions, routingHeader:
			if len(b) < off+2 || n == maxExtensions || next == hopByHop && n > 0 {
				return c, false
			}
			size = (int(b[off+1]) + 1) * 8
			if len(b) < off+size || !extensionOK(next, b[off:off+size]) {
				return c, false
			}
		case fragmentHeader:
			if len(b) < off+fragmentLen || c.Fragment {
				return c, false
			}
			size, c.Fragment = fragmentLen, true
			c.Later = binary.BigEndian.Uint16(b[off+2:])>>3 != 0
		default:
			c.Proto, c.HdrLen = tcpip.TransportProtocolNumber(next), off
			return c, true
		}
		next = b[off]
		off += size
		if c.Later {
			c.Proto, c.HdrLen = tcpip.TransportProtocolNumber(next), off
			return c, true
		}
	}
}

// extensionOK tells whether a header can be passed over: a route that has been
// travelled to its end (RFC 8200, section 4.4), or options of which none must
// be understood (section 4.2).
func extensionOK(kind byte, b []byte) bool {
	if kind == routingHeader {
		return b[3] == 0 // segments left
	}
	for b = b[2:]; len(b) > 0; {
		if b[0] == 0 { // Pad1
			b = b[1:]
			continue
		}
		if len(b) < 2 || len(b) < 2+int(b[1]) || b[0]>>6 != 0 {
			return false
		}
		b = b[2+int(b[1]):]
	}
	return true
}
