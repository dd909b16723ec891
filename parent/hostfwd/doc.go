// Package hostfwd carries what comes from the host's side: connections and
// datagrams to forwarded ports of the host, to a port of the guest.
//
// Theory of operation.
//
//   - A Table holds the rules. Each rule listens on one or more ports of the
//     host, all of them or none.
//   - The guest sees the client's own address and port. What the guest could
//     not answer is shown as the gateway with the client's port: clients on
//     the host's loopback, inside the guest's own prefix, with a link-local
//     IPv6 address, or of the other IP version. Where that would be two
//     connections with the same four numbers, another port is taken.
//   - TCP: an accepted connection is pumped (package splice) once the guest has
//     accepted it, too. If the guest refuses, or cannot be reached, the client
//     gets RST; nothing that it sent was acknowledged by anybody else.
//   - UDP: one socket for each port. A session for each client and address
//     that it asked says where replies go, and from where. Sessions end when
//     they are idle, or when a new one needs the place.
//
// Who calls it: dataplane, for the control socket and for --publish. What it
// must not do: read JSON, decide where the guest may connect to (a session
// only ever answers a client that spoke first), or block the data plane.
package hostfwd
