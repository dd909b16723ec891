// Package outbound carries what the guest starts: its TCP connections, UDP
// datagrams and echo requests, over sockets of the host.
//
// Theory of operation.
//
//   - Policy decides on the address that the host socket is about to use:
//     aliases (the gateway is the host's loopback, the nameserver a resolver)
//     are resolved first, then the result is judged. Nothing else decides.
//   - TCP: a SYN without a connection starts a non-blocking connect. When it
//     succeeds netstack is given the SYN and answers it; when it fails the
//     guest gets RST or the ICMP error that its own kernel would have met;
//     while it hangs, so does the guest. A connection is pumped by whoever
//     learns that it can go on: the poller, or the worker on behalf of
//     netstack's callbacks. It has no goroutine of its own.
//   - UDP: one unconnected host socket for each guest address and port, so
//     mapping and filtering are endpoint-independent (RFC 4787) and the
//     source of each reply is its real sender.
//   - Echo requests to our addresses are answered here; others go out over
//     ping sockets.
//
// All tables are bounded. What it must not do: read resolv.conf, listen on a
// host port, or touch namespaces.
package outbound
