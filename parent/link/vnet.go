package link

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
)

// Fields of struct virtio_net_hdr (linux/virtio_net.h). A TAP uses the host's
// byte order unless told otherwise (TUNSETVNETLE is not used).
const (
	vnetNeedsCsum = 1 // VIRTIO_NET_HDR_F_NEEDS_CSUM
	vnetDataValid = 2 // VIRTIO_NET_HDR_F_DATA_VALID

	gsoNone  = 0
	gsoTCPv4 = 1
	gsoTCPv6 = 4
	gsoECN   = 0x80 // flag: the segments carry CWR

	vnetMin = 10 // without num_buffers
	vnetMax = 64 // what we accept from TUNGETVNETHDRSZ
)

// GSOUDP is the VnetHdr.GSO of UDP datagrams of SegSize bytes each, the last one
// perhaps shorter, behind one header (VIRTIO_NET_HDR_GSO_UDP_L4).
const GSOUDP = 5

// VnetHdr is what a frame's sender tells its receiver about checksum and
// segmentation. Offsets count from the start of the IP header, not of the
// Ethernet header as on the wire.
type VnetHdr struct {
	NeedsCsum  bool   // the checksum at CsumStart+CsumOffset is partial
	DataValid  bool   // the sender vouches for the checksum
	GSO        uint8  // gsoNone, …, without the ECN flag
	HdrLen     uint16 // bytes of headers of a GSO packet
	SegSize    uint16 // payload bytes of each segment of a GSO packet
	CsumStart  uint16
	CsumOffset uint16
}

// encode writes h as a virtio_net_hdr for an Ethernet frame; b has at least
// vnetMin bytes, and what follows them is cleared.
func (h *VnetHdr) encode(b []byte) {
	clear(b)
	if h.NeedsCsum {
		b[0] = vnetNeedsCsum
		binary.NativeEndian.PutUint16(b[6:], h.CsumStart+ethLen)
		binary.NativeEndian.PutUint16(b[8:], h.CsumOffset)
	}
	if h.GSO != gsoNone {
		b[1] = h.GSO
		binary.NativeEndian.PutUint16(b[2:], h.HdrLen+ethLen)
		binary.NativeEndian.PutUint16(b[4:], h.SegSize)
	}
}

// decode reads the parts of a virtio_net_hdr that matter on receipt.
func (h *VnetHdr) decode(b []byte) {
	h.NeedsCsum = b[0]&vnetNeedsCsum != 0
	h.DataValid = b[0]&vnetDataValid != 0
	h.GSO = b[1] &^ gsoECN
	h.SegSize = binary.NativeEndian.Uint16(b[4:])
	h.CsumStart = binary.NativeEndian.Uint16(b[6:]) - ethLen // wraps around in the Ethernet header
	h.CsumOffset = binary.NativeEndian.Uint16(b[8:])
}

// finishInner completes the checksum of an IP packet whose own message begins
// at hdrLen, if it is one inside of that: a tunnel's, such as VXLAN's, where Linux
// leaves it to the device (seen with 6.18). That of the message itself is
// left alone, as the host's kernel makes a new one. It is false when the header
// lies.
func (h *VnetHdr) finishInner(b []byte, hdrLen int) bool {
	start, at := int(h.CsumStart), int(h.CsumStart)+int(h.CsumOffset)
	if !h.NeedsCsum || start == hdrLen {
		return true
	}
	if start < hdrLen || at+2 > len(b) {
		return false
	}
	// What is there is the sum of the pseudo-header.
	sum := ^checksum.Checksum(b[start:], 0)
	if sum == 0 {
		sum = 0xffff // RFC 768: 0 is none; the same number to TCP
	}
	binary.BigEndian.PutUint16(b[at:], sum)
	return true
}
