package link

import (
	"net/netip"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/slirp4netns-go/slirp4netns/ipc/tun"
)

// maxIovecs is how many pieces a frame is written from without a copy: our
// headers, netstack's headers, and the views of 64 KiB of payload, of which
// there are seldom more than a few.
const maxIovecs = 20

// frameHead is where a frame's virtio-net and Ethernet headers are built.
type frameHead [vnetMax + ethLen]byte

// outgoing is what a frame is gathered in. It would be on the stack if a Wire
// were not free to keep it.
type outgoing struct {
	head frameHead
	iov  [maxIovecs]unix.Iovec
}

var outgoings = sync.Pool{New: func() any { return new(outgoing) }}

// set makes b the piece i.
func (o *outgoing) set(i int, b []byte) {
	o.iov[i].Base = &b[0]
	o.iov[i].SetLen(len(b))
}

// write writes the first n pieces, and gives o back.
func (o *outgoing) write(e *Endpoint, n int) bool {
	ok := e.writev(o.iov[:n])
	o.release(n)
	return ok
}

// writeTo is write for the IP packet that starts with ip, which waits unless it
// is known where it goes.
func (o *outgoing) writeTo(e *Endpoint, n int, ip []byte, known bool) bool {
	if known {
		return o.write(e, n)
	}
	e.neigh.wait(destination(ip), flatten(o.iov[:n]))
	o.release(n)
	return true
}

// release gives o back, with nothing in it that could be kept from the garbage
// collector.
func (o *outgoing) release(n int) {
	clear(o.iov[:n])
	outgoings.Put(o)
}

// WritePackets implements stack.LinkEndpoint. It may be called on several
// goroutines at once.
func (e *Endpoint) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	n := 0
	for _, pkt := range pkts.AsSlice() {
		if err := e.WriteTCP(pkt); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// WriteTCP is WritePackets with one packet.
func (e *Endpoint) WriteTCP(pkt *stack.PacketBuffer) tcpip.Error {
	if e.acks.keepsBack(pkt) {
		return nil
	}
	e.acks.forget(pkt)
	if !e.writePacket(pkt) {
		return &tcpip.ErrNoBufferSpace{}
	}
	return nil
}

func (e *Endpoint) writePacket(pkt *stack.PacketBuffer) bool {
	if gso := &pkt.GSOOptions; e.wire != nil && gso.Type != stack.GSONone && gso.NeedsCsum {
		return e.writeSegments(pkt)
	}
	h := e.offloads(pkt)
	o := outgoings.Get().(*outgoing)
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
			o.release(i)
			return e.writeFlat(pkt, &h)
		}
		o.set(i, b)
		size += len(b)
		i++
	}
	n, known := e.fillHead(&o.head, &h, first)
	if n == 0 {
		o.release(i)
		return false
	}
	o.set(0, o.head[:n])
	if !o.writeTo(e, i, first, known) {
		return false
	}
	e.stats.ToGuest.count(first, size)
	return true
}

// offloads is what the TAP is to do with a packet: netstack leaves the checksum
// of TCP to it, also that of a segment without data.
func (e *Endpoint) offloads(pkt *stack.PacketBuffer) (h VnetHdr) {
	gso := &pkt.GSOOptions
	if e.vnetLen == 0 || gso.Type == stack.GSONone || !gso.NeedsCsum {
		return h
	}
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
	return h
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
	o := outgoings.Get().(*outgoing)
	n, known := e.fillHead(&o.head, h, hdr)
	if n == 0 {
		o.release(0)
		return false
	}
	o.set(0, o.head[:n])
	o.set(1, hdr)
	pieces := 2
	if len(payload) > 0 {
		o.set(2, payload)
		pieces = 3
	}
	if !o.writeTo(e, pieces, hdr, known) {
		return false
	}
	e.stats.ToGuest.count(hdr, len(hdr)+len(payload))
	return true
}

// TakesPartialChecksums tells whether Send may be given NeedsCsum.
func (e *Endpoint) TakesPartialChecksums() bool { return e.vnetLen != 0 }

// TakesDatagrams tells whether Send may be given several UDP datagrams in one
// piece (GSOUDP), of IPv6 or IPv4: since Linux 6.2.
func (e *Endpoint) TakesDatagrams(v6 bool) bool {
	if v6 {
		return e.offload&tun.OffloadUSO6 != 0
	}
	return e.offload&tun.OffloadUSO4 != 0
}

// fillHead builds virtio-net and Ethernet header for the IP packet that starts
// with ip, and returns their size: 0 if it is not an IP packet. known is false
// if it has to wait for the Ethernet address that it is for.
func (e *Endpoint) fillHead(head *frameHead, h *VnetHdr, ip []byte) (n int, known bool) {
	var dst, src MAC
	var proto uint16
	switch {
	case len(ip) >= header.IPv4MinimumSize && ip[0]>>4 == 4:
		dst, known = e.mac4of(netip.AddrFrom4([4]byte(ip[16:20])))
		src, proto = e.mac4, etherIPv4
	case len(ip) >= header.IPv6MinimumSize && ip[0]>>4 == 6:
		dst, known = e.mac6of(netip.AddrFrom16([16]byte(ip[24:40])))
		src, proto = RouterMAC6, etherIPv6
	default:
		e.stats.Malformed.Add(1)
		return 0, false
	}
	if e.vnetLen != 0 {
		h.encode(head[:e.vnetLen])
	}
	ethernetHeader(head[e.vnetLen:], dst, src, proto)
	return e.vnetLen + ethLen, known
}

// sendRaw writes a whole Ethernet frame.
func (e *Endpoint) sendRaw(frame []byte) bool {
	o := outgoings.Get().(*outgoing)
	n := 0
	if e.vnetLen != 0 {
		clear(o.head[:e.vnetLen])
		o.set(0, o.head[:e.vnetLen])
		n = 1
	}
	o.set(n, frame)
	return o.write(e, n+1)
}

// writev writes one frame. A TAP takes it at once or not at all.
func (e *Endpoint) writev(iov []unix.Iovec) bool {
	e.life.RLock()
	defer e.life.RUnlock()
	if e.closed.Load() {
		return false
	}
	if e.wire != nil {
		if e.wire.Send(iov) {
			return true
		}
		e.stats.WriteDropped.Add(1)
		return false
	}
	for {
		_, _, errno := unix.RawSyscall(unix.SYS_WRITEV, uintptr(e.fd), uintptr(unsafe.Pointer(&iov[0])), uintptr(len(iov)))
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
