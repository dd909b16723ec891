package dhcp

import (
	"bytes"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

const (
	// bootpSize is the size in bytes of the fields before the options (RFC
	// 951, section 3).
	bootpSize = 236
	// maxMessage is the size in bytes of the largest message that is looked
	// at. Clients send what fits in a frame.
	maxMessage = 1500
)

// cookie begins the options (RFC 2131, section 3).
var cookie = []byte{99, 130, 83, 99}

// request is a client's message.
type request struct {
	*dhcpv4.DHCPv4
	kind    dhcpv4.MessageType // MessageTypeNone: BOOTP
	mac     mac
	current netip.Addr // ciaddr; the zero Addr when there is none
	wanted  netip.Addr // option 50; likewise
	server  netip.Addr // option 54; likewise
	port    Port       // where it came from
}

// lease is one for the client.
func (r *request) lease(a netip.Addr, bound bool, expires time.Time) lease {
	return lease{addr: a, owner: r.mac, bound: bound, expires: expires, port: r.port}
}

// parse reads a message of an Ethernet client. A BOOTP client may know of no
// options, and has them end nowhere.
func parse(b []byte) (*request, bool) {
	if len(b) < bootpSize || len(b) > maxMessage {
		return nil, false
	}
	msg := append([]byte(nil), b[:bootpSize]...)
	msg = append(msg, cookie...)
	if bytes.HasPrefix(b[bootpSize:], cookie) {
		msg = append(msg, b[bootpSize+len(cookie):]...)
	}
	d, err := dhcpv4.FromBytes(append(msg, dhcpv4.OptionEnd.Code()))
	if err != nil || d.OpCode != dhcpv4.OpcodeBootRequest || d.HWType != iana.HWTypeEthernet || len(d.ClientHWAddr) != len(mac{}) {
		return nil, false
	}
	r := &request{
		DHCPv4:  d,
		kind:    d.MessageType(),
		mac:     mac(d.ClientHWAddr),
		current: address(d.ClientIPAddr),
		wanted:  address(d.RequestedIPAddress()),
		server:  address(d.ServerIdentifier()),
	}
	if r.mac == (mac{}) || r.mac[0]&1 != 0 {
		return nil, false // nobody's
	}
	return r, true
}

// address converts an address; 0.0.0.0 stands for none.
func address(ip net.IP) netip.Addr {
	a, ok := netip.AddrFromSlice(ip.To4())
	if !ok || a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

// asks tells whether the client would like to have an option. One that does
// not say what it would like gets what is of use to all.
func (r *request) asks(c dhcpv4.OptionCode, orSilent bool) bool {
	if list := r.ParameterRequestList(); len(list) > 0 {
		return list.Has(c)
	}
	return orSilent
}
