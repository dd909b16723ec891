package dataplane

import (
	"fmt"
	"net/netip"

	"gvisor.dev/gvisor/pkg/log"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	netipv4 "gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	netipv6 "gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"github.com/slirp4netns-go/slirp4netns/parent/link"
	"github.com/slirp4netns-go/slirp4netns/parent/shortcut"
	"github.com/slirp4netns-go/slirp4netns/parent/splice"
)

// nicID is our only interface.
const nicID tcpip.NICID = 1

const (
	// tcpBuffer is the size in bytes of a connection's buffers in netstack,
	// each way, at most: splice.Memory decides how much of them a connection
	// may use. The guest's kernel has a
	// round-trip time of microseconds, so what counts is that a buffer holds
	// a few segments of 64 KiB while the other side is not scheduled.
	tcpBuffer = 1 << 20
	// timeWait is nothing: the other end of the connection is a kernel on the
	// same machine, without a network in between that could delay segments.
	// A FIN of the guest whose acknowledgement was lost meets RST, which ends
	// the guest's side as well; and netstack would swallow the SYN of a guest
	// that uses the port again.
	timeWait = 0
)

// newStack builds the netstack that the guest talks TCP to. ARP is not
// registered and the link resolves addresses itself, so with promiscuous mode
// and spoofing on, which a relay needs, netstack still claims no address.
//
// netstack's own remarks about packets are not for anybody's stderr: the guest
// could fill it.
func newStack(ep *link.Endpoint, cfg *Config) (*stack.Stack, error) {
	log.SetLevel(log.Warning)
	opts := stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{shortcut.Output(netipv4.NewProtocol, ep)},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4},
	}
	addrs := []netip.Prefix{netip.PrefixFrom(cfg.Gateway, cfg.Network.Bits())}
	routes := []tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nicID}}
	if cfg.EnableIPv6 {
		opts.NetworkProtocols = append(opts.NetworkProtocols, shortcut.Output(netipv6.NewProtocol, ep))
		opts.TransportProtocols = append(opts.TransportProtocols, icmp.NewProtocol6)
		addrs = append(addrs, netip.PrefixFrom(cfg.Gateway6, cfg.Network6.Bits()))
		routes = append(routes, tcpip.Route{Destination: header.IPv6EmptySubnet, NIC: nicID})
	}
	s := stack.New(opts)
	buffers := tcpip.TCPReceiveBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: splice.LeastToHost, Max: tcpBuffer}
	sendBuffers := tcpip.TCPSendBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: tcpBuffer, Max: tcpBuffer}
	sack := tcpip.TCPSACKEnabled(true)
	// netstack's own way to size receive buffers is not used, as nobody calls
	// its ModerateRecvBuf. With it the scale of the window is that of the
	// largest buffer, and the window can be opened later.
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	tw := tcpip.TCPTimeWaitTimeoutOption(timeWait)
	for _, opt := range []tcpip.SettableTransportProtocolOption{&buffers, &sendBuffers, &sack, &moderate, &tw} {
		if err := s.SetTransportProtocolOption(tcp.ProtocolNumber, opt); err != nil {
			return nil, fmt.Errorf("dataplane: TCP option %T: %s", opt, err)
		}
	}
	if err := s.CreateNICWithOptions(nicID, ep, stack.NICOptions{Name: "tap"}); err != nil {
		return nil, fmt.Errorf("dataplane: interface: %s", err)
	}
	// Connections to any address are ours to answer.
	if err := s.SetPromiscuousMode(nicID, true); err != nil {
		return nil, fmt.Errorf("dataplane: promiscuous mode: %s", err)
	}
	if err := s.SetSpoofing(nicID, true); err != nil {
		return nil, fmt.Errorf("dataplane: spoofing: %s", err)
	}
	for _, a := range addrs {
		if err := addAddress(s, a); err != nil {
			return nil, err
		}
	}
	s.SetRouteTable(routes)
	return s, nil
}

// wireWindow is the size in bytes of what a connection may have on its way to
// a guest that has no TAP: what waits for such a guest is bounded, and has to
// hold several connections.
const wireWindow = 512 << 10

// limitWindow sets it for connections to come.
func limitWindow(s *stack.Stack) error {
	opt := tcpip.TCPSendBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: wireWindow, Max: wireWindow}
	if err := s.SetTransportProtocolOption(tcp.ProtocolNumber, &opt); err != nil {
		return fmt.Errorf("dataplane: TCP option %T: %s", opt, err)
	}
	return nil
}

// addAddress gives s an address, the source of the errors that netstack finds
// itself.
func addAddress(s *stack.Stack, a netip.Prefix) error {
	addr := tcpip.ProtocolAddress{
		Protocol:          netipv6.ProtocolNumber,
		AddressWithPrefix: tcpip.AddressWithPrefix{Address: tcpip.AddrFromSlice(a.Addr().AsSlice()), PrefixLen: a.Bits()},
	}
	if a.Addr().Is4() {
		addr.Protocol = netipv4.ProtocolNumber
	}
	if err := s.AddProtocolAddress(nicID, addr, stack.AddressProperties{}); err != nil {
		return fmt.Errorf("dataplane: address %s: %s", a.Addr(), err)
	}
	return nil
}
