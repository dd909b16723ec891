// Package gro puts TCP segments of one flow that came right behind one another
// together into one, as generic receive offload in Linux does (tcp_gro_receive),
// so that the network stack handles, acknowledges and passes on one large
// segment in place of many small ones. parent/link does so with what comes from
// a guest on a socket, in frames of the MTU: a TAP's come large already.
//
// A [Batch] is told of the segments of one turn of reads. It keeps slices of
// them, copies nothing, and hands out at the latest in Flush, so nothing waits
// for what may come later. Segments are joined only if cutting the result up
// again, at the size of the first, gives the same segments, byte for byte:
//
//   - addresses, ports, time to live, type of service (with its ECN bits), flow
//     label, don't-fragment, acknowledgement number, window, urgent pointer and
//     all TCP options, timestamps too, are the same;
//   - sequence numbers follow one another, and so do IPv4 IDs, or, where nobody
//     may fragment, they are all the same;
//   - each has data, and all have the same amount, but the last one may have
//     less;
//   - each has ACK and no other flag, but the last one may have PSH or FIN;
//   - there are no IP options and no extension headers.
//
// All other segments come out as they went in. Those of one connection come
// out in the order in which they went in; for other packets the caller has to
// Flush first.
//
// The one thing that is not right in a joined segment is its TCP checksum, which
// is the first one's. Whoever adds segments has verified theirs, and whoever
// gets them is not to look again.
//
// What it must not do: keep anything after Flush, or look at a clock.
package gro
