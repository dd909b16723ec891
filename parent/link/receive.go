package link

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/slirp4netns-go/slirp4netns/parent/gro"
)

// ErrGone tells that the device is gone: its namespace ended, or the other end
// of the socket was closed.
var ErrGone = errors.New("link: the device is gone")

// copyLimit is the size in bytes up to which a packet is copied into a view of
// its own. A larger one keeps the 64 KiB view that it was read into. Without
// the copy a million one-byte segments would pin 64 GiB.
const copyLimit = 16 << 10

// viewSize is the size in bytes of the view that a packet is read into: the
// largest chunk that gVisor pools, which holds any IP packet.
const viewSize = 64 << 10

// reader is the state of the goroutine that reads.
type reader struct {
	e    *Endpoint
	view *buffer.View // viewSize bytes; the IP packet is read into it. nil: not ours
	head [vnetMax + ethLen]byte
	more bool // see Packet.More
	port Port // where the frame came from
	// small tells that the frame was a TCP segment with little data.
	small bool
	// batch gathers TCP segments of frames that came at once. nil: of a TAP,
	// they are large already.
	batch *gro.Batch
}

// readFrame reads virtio-net and Ethernet headers into head and the rest into
// view.
func (r *reader) readFrame(fd uintptr) (int, unix.Errno) {
	b := r.view.AsSlice()
	iov := [2]unix.Iovec{{Base: &r.head[0]}, {Base: &b[0]}}
	iov[0].SetLen(r.e.vnetLen + ethLen)
	iov[1].SetLen(len(b))
	n, _, errno := unix.RawSyscall(unix.SYS_READV, fd, uintptr(unsafe.Pointer(&iov[0])), uintptr(len(iov)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// receive handles a frame of n bytes, headers included.
func (r *reader) receive(n int) {
	e := r.e
	n -= e.vnetLen + ethLen
	if n <= 0 {
		e.stats.Malformed.Add(1)
		return
	}
	var h VnetHdr
	if e.vnetLen != 0 {
		h.decode(r.head[:])
	}
	r.handle(r.head[e.vnetLen:], &h, r.view.AsSlice()[:n])
}

// overtakes delivers what was gathered before a packet that is not to be
// gathered.
func (r *reader) overtakes() {
	if r.batch != nil {
		r.batch.Flush()
	}
}

// handle handles a frame with its header, eth, and what follows it, b.
func (r *reader) handle(eth []byte, h *VnetHdr, b []byte) {
	e := r.e
	from := MAC(eth[6:12])
	switch binary.BigEndian.Uint16(eth[12:]) {
	case etherARP:
		e.answerARP(b, r.port)
	case etherIPv4:
		r.receiveIPv4(b, from, h)
	case etherIPv6:
		r.receiveIPv6(b, from, h)
	default:
		e.stats.Unsupported.Add(1)
	}
}

func (r *reader) receiveIPv4(b []byte, from MAC, h *VnetHdr) {
	e := r.e
	ip := header.IPv4(b)
	if len(b) < header.IPv4MinimumSize || b[0]>>4 != 4 {
		e.stats.Malformed.Add(1)
		return
	}
	hdrLen, total := int(ip.HeaderLength()), int(ip.TotalLength())
	if hdrLen < header.IPv4MinimumSize || total < hdrLen || total > len(b) {
		e.stats.Malformed.Add(1)
		return
	}
	b = b[:total] // what follows is the padding of a short frame
	if checksum.Checksum(b[:hdrLen], 0) != 0xffff {
		e.stats.BadChecksum.Add(1)
		return
	}
	proto := ip.TransportProtocol()
	fragment := ip.More() || ip.FragmentOffset() != 0
	if !fragment && !h.NeedsCsum && !h.DataValid && !transportSumOK(proto, b[12:20], b[hdrLen:]) {
		e.stats.BadChecksum.Add(1)
		return
	}
	if !h.finishInner(b, hdrLen) {
		e.stats.Malformed.Add(1)
		return
	}
	if ip.More() && ip.FragmentOffset() == 0 && proto == header.TCPProtocolNumber && tinyTCP(b[hdrLen:]) {
		e.stats.Malformed.Add(1)
		return
	}
	e.stats.FromGuest.count(b, len(b))
	src := netip.AddrFrom4([4]byte(b[12:16]))
	if !e.ours(src) {
		e.neigh.learn(src, from, r.port, false)
	}
	if fragment || proto != header.TCPProtocolNumber {
		r.overtakes()
	}
	if !fragment && e.recv != nil {
		p := Packet{Bytes: b, Proto: proto, HdrLen: hdrLen, More: r.more, Port: r.port}
		if h.GSO == GSOUDP {
			p.SegSize = int(h.SegSize)
		}
		if e.recv(p) {
			return
		}
	}
	if fragment || proto != header.TCPProtocolNumber {
		hdrLen = 0
	}
	r.deliver(header.IPv4ProtocolNumber, b, hdrLen)
}

// deliver gives the packet, which is at the start of the view if there is one,
// to netstack, or to the batch. hdrLen is 0 unless it is a TCP segment in one
// piece.
func (r *reader) deliver(proto tcpip.NetworkProtocolNumber, b []byte, hdrLen int) {
	if hdrLen != 0 && r.batch != nil {
		r.batch.Add(b, hdrLen)
		return
	}
	var v *buffer.View
	if len(b) <= copyLimit || r.view == nil {
		v = buffer.NewViewWithData(b)
	} else {
		v = r.view
		v.CapLength(len(b))
		r.view = buffer.NewViewSize(viewSize)
	}
	r.pass(proto, v, hdrLen)
}

// gathered gives netstack what comes out of the batch.
func (r *reader) gathered(s *gro.Segment) {
	proto := header.IPv4ProtocolNumber
	if s.V6() {
		proto = header.IPv6ProtocolNumber
	}
	v := buffer.NewViewSize(s.Size())
	s.CopyTo(v.AsSlice())
	r.pass(proto, v, s.HdrLen)
}

// pass gives a packet to netstack. hdrLen is 0 unless it is a TCP segment in
// one piece.
func (r *reader) pass(proto tcpip.NetworkProtocolNumber, v *buffer.View, hdrLen int) {
	b := v.AsSlice()
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithView(v)})
	defer pkt.DecRef()
	if hdrLen == 0 || r.e.input == nil || !r.e.input.Begin(proto, b, hdrLen) {
		r.e.dispatcher.DeliverNetworkPacket(proto, pkt)
		return
	}
	r.e.input.Queue(proto, pkt, hdrLen)
	r.small = r.e.delayAck(b, header.TCP(b[hdrLen:]))
	timeWait := r.e.input.End()
	r.e.acks.processed()
	if timeWait {
		// Where that lasts for no time it takes a timer's goroutine to
		// end it. The guest may use its port again, in the very next
		// frame. Each 61st time Gosched comes back at once.
		runtime.Gosched()
		runtime.Gosched()
	}
}
