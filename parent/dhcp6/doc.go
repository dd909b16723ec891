// Package dhcp6 tells a guest that asks by DHCPv6 where its nameserver is.
//
// It is the stateless half of DHCPv6: addresses come from router advertisements
// (ndp), and nothing is remembered about anybody. A guest asks
//
//	Information-request ──▶ ff02::1:2, or the gateway, port 547
//	              Reply ◀── port 547: server and client identifier, nameserver
//
// and all other messages are left unanswered, as by a server that has no
// addresses to give.
//
// A message is four bytes and a list of options, of which three matter, so
// there is no library between the guest's bytes and us.
//
// Source: RFC 8415, sections 8, 16.12, 18.3.6 and 21; RFC 3646 for the
// nameserver.
//
// Who calls it: dataplane. What it must not do: touch sockets.
package dhcp6
