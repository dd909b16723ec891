package dhcp

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/insomniacslk/dhcp/rfc1035label"
)

const (
	// replySize is the size in bytes of replies: the C program's, and what a
	// client takes that says nothing of its own (RFC 2131, section 2).
	replySize = 548
	// maxSearch is the size in bytes of the search domains on the wire.
	maxSearch = 192
	// maxEcho is the size in bytes of the client's own options that are sent
	// back to it.
	maxEcho = 64
)

// spare are the options that are left out when there is no room for them.
var spare = []dhcpv4.OptionCode{
	dhcpv4.OptionDNSDomainSearchList, dhcpv4.OptionDomainName, dhcpv4.OptionHostName, dhcpv4.OptionClientIdentifier,
}

// refusal is what the C program says in a NAK.
const refusal = "requested address not available"

// empty is a reply without options.
func (s *Server) empty(r *request, kind dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	m := &dhcpv4.DHCPv4{
		OpCode:        dhcpv4.OpcodeBootReply,
		HWType:        iana.HWTypeEthernet,
		TransactionID: r.TransactionID,
		Flags:         r.Flags,
		GatewayIPAddr: r.GatewayIPAddr,
		ClientHWAddr:  r.ClientHWAddr,
		Options:       dhcpv4.Options{},
	}
	m.UpdateOption(dhcpv4.OptMessageType(kind))
	m.UpdateOption(dhcpv4.OptServerIdentifier(s.cfg.Gateway.AsSlice()))
	// RFC 6842.
	if id := r.Options.Get(dhcpv4.OptionClientIdentifier); len(id) > 0 && len(id) <= maxEcho {
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionClientIdentifier, id))
	}
	return m
}

// refuse is a NAK.
func (s *Server) refuse(r *request) *dhcpv4.DHCPv4 {
	m := s.empty(r, dhcpv4.MessageTypeNak)
	m.UpdateOption(dhcpv4.OptMessage(refusal))
	return m
}

// reply is an OFFER or ACK of an address for some time, or without one.
func (s *Server) reply(r *request, kind dhcpv4.MessageType, addr netip.Addr, lease time.Duration) *dhcpv4.DHCPv4 {
	m := s.empty(r, kind)
	m.ServerIPAddr = s.cfg.Gateway.AsSlice()
	if kind == dhcpv4.MessageTypeAck {
		m.ClientIPAddr = r.ClientIPAddr
	}
	if addr.IsValid() {
		m.YourIPAddr = addr.AsSlice()
		m.UpdateOption(dhcpv4.OptIPAddressLeaseTime(lease))
	}
	m.UpdateOption(dhcpv4.OptSubnetMask(mask(s.cfg.Network)))
	m.UpdateOption(dhcpv4.OptRouter(s.cfg.Gateway.AsSlice()))
	if s.cfg.Nameserver.IsValid() {
		m.UpdateOption(dhcpv4.OptDNS(s.cfg.Nameserver.AsSlice()))
	}
	if r.asks(dhcpv4.OptionInterfaceMTU, true) {
		mtu := binary.BigEndian.AppendUint16(nil, uint16(min(s.cfg.MTU, 0xffff)))
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, mtu))
	}
	if r.asks(dhcpv4.OptionHostName, false) {
		if name := r.HostName(); name != "" && len(name) <= maxEcho {
			m.UpdateOption(dhcpv4.OptHostName(name))
		}
	}
	s.addSearch(r, m)
	return m
}

// addSearch adds the search domains, of which older clients take the first
// one only.
func (s *Server) addSearch(r *request, m *dhcpv4.DHCPv4) {
	wantsFirst, wantsAll := r.asks(dhcpv4.OptionDomainName, false), r.asks(dhcpv4.OptionDNSDomainSearchList, false)
	if s.cfg.Search == nil || !s.cfg.Nameserver.IsValid() || !wantsFirst && !wantsAll {
		return
	}
	list := searchList(s.cfg.Search())
	if len(list) == 0 {
		return
	}
	if wantsFirst {
		m.UpdateOption(dhcpv4.OptDomainName(list[0]))
	}
	if wantsAll {
		m.UpdateOption(dhcpv4.OptDomainSearch(&rfc1035label.Labels{Labels: list}))
	}
}

// searchList are the domains that can be written down, as many as there is
// room for.
func searchList(domains []string) []string {
	var list []string
	size := 0
	for _, d := range domains {
		d = strings.TrimSuffix(d, ".")
		if !isDomain(d) {
			continue
		}
		if size += len(d) + 2; size > maxSearch { // as labels
			break
		}
		list = append(list, d)
	}
	return list
}

// isDomain tells whether d can be written as labels (RFC 1035, section 2.3.4).
func isDomain(d string) bool {
	for label := range strings.SplitSeq(d, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	return true
}

// mask is the network's mask.
func mask(p netip.Prefix) []byte {
	return binary.BigEndian.AppendUint32(nil, ^uint32(0)<<(32-p.Bits()))
}

// destination is where a reply goes. slirp4netns: a client that has no address
// yet gets it by broadcast, whether it asks for that or not.
func destination(r *request, m *dhcpv4.DHCPv4) netip.AddrPort {
	nak := m.MessageType() == dhcpv4.MessageTypeNak
	switch relay := address(r.GatewayIPAddr); {
	case relay.IsValid():
		return netip.AddrPortFrom(relay, ServerPort)
	case r.current.IsValid() && !nak && r.kind != dhcpv4.MessageTypeNone:
		return netip.AddrPortFrom(r.current, ClientPort)
	}
	return netip.AddrPortFrom(broadcast, ClientPort)
}

// encode brings a message to replySize.
func encode(m *dhcpv4.DHCPv4) []byte {
	b := m.ToBytes()
	for _, c := range spare {
		if len(b) <= replySize {
			break
		}
		m.Options.Del(c)
		b = m.ToBytes()
	}
	return append(b, make([]byte, max(0, replySize-len(b)))...)
}
