// Package splice carries the bytes of one established TCP connection between
// an endpoint of netstack, towards the guest, and a socket of the host.
//
// Theory of operation.
//
//   - A Flow has two halves, one for each direction, and no goroutine.
//     Whoever learns that a half can go on pumps it: the poller, or the
//     worker on behalf of netstack's callbacks, which run under the
//     endpoint's lock and so may not read.
//   - FIN, RST and the last byte before them are passed on as they came, each
//     direction by itself.
//   - How much may lie in netstack is decided before it gets there, for each
//     Flow and for all of them: by room towards the guest, by openWindow
//     towards the host, from what Memory has left.
//   - A socket that has failed is read to its end first; the guest's RST comes
//     behind the last byte, unless it takes nothing and writes (refuse.go).
//   - When both halves have ended nobody uses socket or endpoint any more,
//     and only then are they closed: no descriptor is used after its number
//     was given to another. What the guest has not acknowledged then is
//     netstack's, for a time; such Orphans are bounded.
//
// Who calls it: outbound, for what the guest starts, and hostfwd, for what
// comes from the host. What it must not do: connect, accept, or decide who
// may talk to whom.
package splice
