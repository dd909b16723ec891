// Package poll tells the flows of the data plane when their host sockets are
// ready, and gives work that netstack's callbacks may not do themselves (they
// run under an endpoint's lock) a goroutine to run on.
//
// All host sockets hang in one epoll(7) instance, edge-triggered, and that
// instance hangs in the Go runtime's own poller. So there is one wake-up for
// many events, no goroutine for each socket, and no thread that sits in
// epoll_wait. An idle data plane does not wake up at all.
//
// Who calls it: outbound, hostfwd, dns. What it must not do: know anything of
// packets or of protocols.
package poll
