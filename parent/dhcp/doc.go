// Package dhcp is the DHCPv4 server (RFC 2131, options of RFC 2132 and RFC
// 3397) that gives a guest which configures itself its address: User Mode
// Linux, or a namespace without --configure. BOOTP (RFC 951) is answered too.
//
// It is a function from a message to a reply, with a table of leases: it has
// no socket and no goroutine. The codec is a library's. There is one server on
// the link and it knows all addresses, so it answers for those that it has
// never given as well: free ones are granted, others refused (NAK).
//
// Machines that took an address by themselves are left with it. The link knows
// them by what they send, and asks for who may have one that is being offered.
//
//	DISCOVER ─▶ offered ──REQUEST──▶ bound ──time, RELEASE──▶ free again
//	              └──1 min──▶ free     └──DECLINE──▶ set aside ──10 min──▶ free
//
// Who calls it: dataplane, with what was sent to port 67 of the gateway or to
// 255.255.255.255. What it must not do: hand out an address that is somebody
// else's, or keep more leases than maxLeases whatever the guest makes up.
// Whose peer is gone keeps its lease as long as there is room for others.
package dhcp
