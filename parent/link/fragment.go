package link

import "gvisor.dev/gvisor/pkg/tcpip/header"

// tinyTCP tells whether the first fragment of a TCP segment, whose bytes after
// the IP headers are msg, lacks a part of the TCP header: the tiny fragment of
// RFC 1858, section 3, which RFC 7112 forbids for IPv6. No sender makes one
// (68 bytes of MTU are enough for any header), and netstack must not see one:
// it reads the IP header of a reassembled packet through a slice that it took
// before it joined the buffers for the TCP header, and by then the memory may
// be another packet's.
func tinyTCP(msg []byte) bool {
	return len(msg) < header.TCPMinimumSize || len(msg) < int(header.TCP(msg).DataOffset())
}
