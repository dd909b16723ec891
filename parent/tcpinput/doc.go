// Package tcpinput has netstack process a TCP segment on the goroutine that
// read it.
//
// netstack queues a segment to its endpoint and wakes another goroutine for
// it. Most of the time that means to wake another core, only to go back to
// sleep on this one: of a request and response of one byte that is the larger
// part of what we add. So Input queues the segment while it holds the endpoint,
// which keeps netstack from waking anybody, and then calls what the goroutine
// would have called.
//
// That function and one field are not exported by netstack. A go:linkname reaches
// the function, and fails to link should it be gone; the field is found by its
// name, which New looks up. The version of netstack is pinned, and
// TestNetstack looks at both.
package tcpinput
