package dhcp6

import (
	"bytes"
	"encoding/binary"
	"net/netip"
)

// ServerPort is the UDP port of servers (RFC 8415, section 7.2).
const ServerPort = 547

// Servers is the group of all servers and relays on a link (RFC 8415, section
// 7.1).
var Servers = netip.MustParseAddr("ff02::1:2")

// Messages and options by number: RFC 8415, sections 7.3 and 21; RFC 3646,
// section 3.
const (
	reply              = 7
	informationRequest = 11

	optClientID    = 1
	optServerID    = 2
	optIANA        = 3
	optIATA        = 4
	optNameservers = 23
	optIAPD        = 25
)

const (
	headerLen = 4 // type, transaction
	// maxDUID is how long an identifier may be in bytes (section 11.1).
	maxDUID = 130
)

// Responder answers information-requests.
type Responder struct {
	server  []byte // our DUID
	options []byte // of each reply
}

// New makes a Responder for a server with this Ethernet address. nameserver is
// the zero Addr when there is none to tell of.
func New(mac [6]byte, nameserver netip.Addr) *Responder {
	// DUID-LL (section 11.4) for Ethernet.
	r := &Responder{server: append([]byte{0, 3, 0, 1}, mac[:]...)}
	r.options = appendOption(nil, optServerID, r.server)
	if nameserver.IsValid() {
		r.options = appendOption(r.options, optNameservers, nameserver.AsSlice())
	}
	return r
}

// Answer is the reply to a client's message, or nil when there is none to give.
func (r *Responder) Answer(msg []byte) []byte {
	if len(msg) < headerLen || msg[0] != informationRequest {
		return nil
	}
	client, ok := r.accept(msg[headerLen:])
	if !ok {
		return nil
	}
	answer := append([]byte{reply}, msg[1:headerLen]...)
	if client != nil {
		answer = appendOption(answer, optClientID, client)
	}
	return append(answer, r.options...)
}

// accept reads the options of an information-request: section 16.12 says which
// of them make it somebody else's, or nobody's.
func (r *Responder) accept(b []byte) (client []byte, ok bool) {
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, false
		}
		code, size := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if len(b) < 4+size {
			return nil, false
		}
		value := b[4 : 4+size]
		switch code {
		case optClientID:
			if client != nil || size == 0 || size > maxDUID {
				return nil, false
			}
			client = value
		case optServerID:
			if !bytes.Equal(value, r.server) {
				return nil, false
			}
		case optIANA, optIATA, optIAPD:
			return nil, false
		}
		b = b[4+size:]
	}
	return client, true
}

func appendOption(b []byte, code uint16, value []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, code)
	b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
	return append(b, value...)
}
