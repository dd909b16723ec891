// Package link is netstack's link endpoint over a TAP (or over a socket that
// carries one Ethernet frame per message, from an inherited descriptor).
//
// Theory of operation. The TAP is opened with IFF_VNET_HDR and TUNSETOFFLOAD,
// so each frame follows a struct virtio_net_hdr (virtio 1.2, section 5.1.6),
// the guest's kernel hands over TCP segments of up to 64 KiB whatever the MTU,
// and takes them. One goroutine reads, the poller's. A frame goes
//
//  1. to the ARP responder here, which answers for our addresses only, or
//  2. through the checks of this package (IPv4 header always; transport
//     checksum unless the virtio header vouches for it), then
//  3. to the Receiver, which takes UDP and ICMP, or
//  4. into netstack: TCP and fragments. Segments from a Wire are gathered
//     before that: see parent/gro.
//
// What that leaves to the worker is done before the next frame of a TAP, or
// after those that a Wire had at once.
//
// netstack is told that received checksums are verified, since its per-packet
// mark is overwritten by the NIC's capability; that promise is kept by step 2.
// A fragment's transport checksum cannot be checked before reassembly: the
// Receiver's callers check it afterwards.
//
// What it must not do: route, translate addresses, or know of host sockets.
// Malformed frames are counted and dropped.
package link
