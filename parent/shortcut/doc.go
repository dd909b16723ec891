// Package shortcut has TCP segments of connections pass by what of netstack
// does nothing for them.
//
// Input: netstack queues a segment to its endpoint and wakes another goroutine
// for it. Most of the time that means to wake another core, only to go back to
// sleep on this one: of a request and response of one byte that is the larger
// part of what we add. So Input queues the segment while it holds the endpoint,
// which keeps netstack from waking anybody, and then calls what the goroutine
// would have called. The layers between the link and the endpoint (interface,
// IP, iptables, demultiplexer) would find out what Input knows.
//
// netstack acknowledges each segment as it comes. Quiet has it believe that it
// has done so, and Acknowledge does it: in between there may be an answer that
// acknowledges it as well.
//
// Output: on the way back an IP header is all that those layers add.
//
// Three functions and some fields are not exported by netstack. A go:linkname reaches
// the functions, and fails to link should they be gone; the fields are found by
// their names, which NewInput looks up. The version of netstack is pinned, and
// TestNetstack looks at all of them.
package shortcut
