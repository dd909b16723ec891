// Package poll tells the data plane when its descriptors are ready, and gives
// work that netstack's callbacks may not do themselves (they run under an
// endpoint's lock) a goroutine to run on.
//
// Theory of operation. The TAP, or the sockets in its place, and all host
// sockets hang in one epoll(7) instance, and one goroutine handles its events,
// each to its end. It has its own way to wait, which Go's scheduler learns of
// only when nothing happens (wait.go): while it waits, nothing else runs, so
// there is to be no second one. Tasks for the Worker are run by that goroutine
// as well while it holds the Worker. An idle data plane does not wake up at all.
//
// Who calls it: link, framesock, vswitch, outbound, hostfwd, dns. What it must
// not do: know anything of packets or of protocols.
package poll
