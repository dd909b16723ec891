package link

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// maxIovecs is how many pieces a frame is written from without a copy: our
// headers, netstack's headers, and the views of 64 KiB of payload, of which
// there are seldom more than a few.
const maxIovecs = 20

// frameHead is where a frame's virtio-net and Ethernet headers are built.
type frameHead [vnetMax + ethLen]byte

// WritePackets implements stack.LinkEndpoint. It may be called on several
// goroutines at once.
func (e *Endpoint) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	n := 0
	for _, pkt := range pkts.AsSlice() {
		if !e.writePacket(pkt) {
			return n, &tcpip.ErrNoBufferSpace{}
		}
		n++
	}
	return n, nil
}

func (e *Endpoint) writePacket(pkt *stack.PacketBuffer) bool {
	var h VnetHdr
	if gso := &pkt.GSOOptions; e.vnetLen != 0 && gso.Type != stack.GSONone && gso.NeedsCsum {
		h.NeedsCsum = true
		h.CsumStart = gso.L3HdrLen
		h.CsumOffset = gso.CsumOffset
		if pkt.Data().Size() > int(gso.MSS) {
			h.GSO = gsoTCPv4
			if gso.Type == stack.GSOTCPv6 {
				h.GSO = gsoTCPv6
			}
			h.HdrLen = uint16(pkt.HeaderSize())
			h.SegSize = gso.MSS
		}
	}
	var iov [maxIovecs]unix.Iovec
	var head frameHead
	list, offset := pkt.AsViewList()
	i, size := 1, 0
	var first []byte
	for v := list.Front(); v != nil; v = v.Next() {
		b := v.AsSlice()
		if offset >= len(b) {
			offset -= len(b)
			continue
		}
		b = b[offset:]
		offset = 0
		if i == 1 {
			first = b
		}
		if i == maxIovecs {
			return e.writeFlat(pkt, &h)
		}
		iov[i].Base = &b[0]
		iov[i].SetLen(len(b))
		size += len(b)
		i++
	}
	n := e.fillHead(&head, &h, first)
	if n == 0 {
		return false
	}
	iov[0].Base = &head[0]
	iov[0].SetLen(n)
	if !e.writev(iov[:i]) {
		return false
	}
	e.stats.ToGuest.count(first, size)
	return true
}

// writeFlat writes a packet that is in too many pieces from one copy.
func (e *Endpoint) writeFlat(pkt *stack.PacketBuffer, h *VnetHdr) bool {
	v := pkt.ToView()
	defer v.Release()
	return e.Send(h, v.AsSlice(), nil)
}

// Send writes an IP packet to the guest, given as header and payload so that
// the payload need not be copied. A false result means that the TAP did not
// take it.
func (e *Endpoint) Send(h *VnetHdr, hdr, payload []byte) bool {
	var head frameHead
	n := e.fillHead(&head, h, hdr)
	if n == 0 {
		return false
	}
	var iov [3]unix.Iovec
	iov[0].Base = &head[0]
	iov[0].SetLen(n)
	iov[1].Base = &hdr[0]
	iov[1].SetLen(len(hdr))
	pieces := iov[:2]
	if len(payload) > 0 {
		iov[2].Base = &payload[0]
		iov[2].SetLen(len(payload))
		pieces = iov[:]
	}
	if !e.writev(pieces) {
		return false
	}
	e.stats.ToGuest.count(hdr, len(hdr)+len(payload))
	return true
}

// TakesPartialChecksums tells whether Send may be given NeedsCsum.
func (e *Endpoint) TakesPartialChecksums() bool { return e.vnetLen != 0 }

// fillHead builds virtio-net and Ethernet header for the IP packet that starts
// with ip, and returns their size: 0 if it is not an IP packet.
func (e *Endpoint) fillHead(head *frameHead, h *VnetHdr, ip []byte) int {
	var dst, src MAC
	var proto uint16
	switch {
	case len(ip) >= header.IPv4MinimumSize && ip[0]>>4 == 4:
		dst = e.neigh.lookup(netip.AddrFrom4([4]byte(ip[16:20])))
		src, proto = e.mac4, etherIPv4
	case len(ip) >= header.IPv6MinimumSize && ip[0]>>4 == 6:
		dst = e.mac6(netip.AddrFrom16([16]byte(ip[24:40])))
		src, proto = RouterMAC6, etherIPv6
	default:
		e.stats.Malformed.Add(1)
		return 0
	}
	if e.vnetLen != 0 {
		h.encode(head[:e.vnetLen])
	}
	eth := head[e.vnetLen:]
	copy(eth[0:], dst[:])
	copy(eth[6:], src[:])
	binary.BigEndian.PutUint16(eth[12:], proto)
	return e.vnetLen + ethLen
}

// sendRaw writes a whole Ethernet frame.
func (e *Endpoint) sendRaw(frame []byte) bool {
	var head [vnetMax]byte
	var iov [2]unix.Iovec
	iov[1].Base = &frame[0]
	iov[1].SetLen(len(frame))
	if e.vnetLen == 0 {
		return e.writev(iov[1:])
	}
	iov[0].Base = &head[0]
	iov[0].SetLen(e.vnetLen)
	return e.writev(iov[:])
}

// writev writes one frame. A TAP takes it at once or not at all.
func (e *Endpoint) writev(iov []unix.Iovec) bool {
	e.life.RLock()
	defer e.life.RUnlock()
	if e.closed.Load() {
		return false
	}
	for {
		_, _, errno := unix.Syscall(unix.SYS_WRITEV, uintptr(e.fd), uintptr(unsafe.Pointer(&iov[0])), uintptr(len(iov)))
		switch errno {
		case 0:
			return true
		case unix.EINTR:
			continue
		}
		e.stats.WriteDropped.Add(1)
		return false
	}
}
