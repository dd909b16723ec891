// Package dataplane puts the parts together: the link endpoint, netstack, the
// outbound relays and the services. It is the one place that knows them all,
// and it knows nothing of processes and namespaces.
//
// The journey of a packet from the guest:
//
//	TAP ─▶ link ─┬─ UDP, ICMP ─▶ outbound, dns ─▶ host socket
//	             └─ TCP, fragments ─▶ netstack ─▶ outbound.flow ─▶ host socket
//
// and back:
//
//	host socket ─▶ poll ─┬─▶ datagram ─▶ link ─▶ TAP
//	                     └─▶ outbound.flow ─▶ netstack ─▶ link ─▶ TAP
//
// A caller makes a Plane with New while its TAP is still being made, gives it
// the TAP with Start, and then waits.
package dataplane
