// Package vswitch is the Ethernet switch for User Mode Linux and others that
// speak its BESS transport: any number of peers, each a SOCK_SEQPACKET
// connection with one raw frame a message, and the network stack.
//
//	peer ── framesock.Socket ─┐                ┌──────── MAC table
//	peer ── framesock.Socket ─┼─ guard ─ Switch ┤
//	peer ── framesock.Socket ─┘                └─ link.Endpoint (network stack)
//
// Theory of operation. As a bridge of IEEE 802.1D does, the switch learns from
// a frame's source which peer has that Ethernet address, and sends what is
// for it there alone. Multicast, broadcast, and what is for an address that is
// not known goes to all peers but the one that it came from. The addresses of
// the stack are known from the start, and the stack is given those frames,
// multicast and broadcast, nothing else. What was learnt is forgotten with the
// peer, or after 5 minutes.
//
// The guard drops what no peer has a right to send, since it would make itself
// the others' gateway or nameserver, or put itself in their way to it:
//
//   - frames, ARP packets, IPv4 and IPv6 packets and neighbour advertisements
//     from our addresses;
//   - router advertisements and redirects (as RFC 6105 has switches do), and
//     what answers DHCP and DHCPv6 clients (as RFC 7610 does): the network has
//     one router and one server, which are ours;
//   - IPv6 packets of which it cannot tell what they are, because their chain of
//     headers is malformed or goes on in a later fragment (RFC 7113), and
//     neighbour discovery in fragments (RFC 6980);
//   - multicast sources, and the group addresses that bridges keep to
//     themselves.
//
// VLAN tags are looked through. Among each other peers are not protected: they
// are machines on one Ethernet.
//
// Everything runs on the poller's goroutine, and sending never waits: see
// framesock. What happens to one peer is of no concern to the others.
//
// What it must not do: answer anything itself.
package vswitch
