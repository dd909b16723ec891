package link

import (
	"encoding/binary"
	"sync"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// A Wire has no offloads, and netstack would make a packet of each segment, and
// route each. So it is told that the device segments, and that is done here, at
// the last moment: its packet of up to 64 KiB becomes frames that share its
// payload, and go out many in one system call.

const (
	// maxSegments is how many frames are made at once.
	maxSegments = 16
	// maxSegmentHead is the size in bytes of all headers of a segment.
	maxSegmentHead = ethLen + header.IPv4MaximumHeaderSize + header.TCPHeaderMaximumSize
	// segmentPieces is how many pieces a frame is made of: the headers, and
	// payload that may lie in several views.
	segmentPieces = 4
)

// segments is where they are made.
type segments struct {
	heads  [maxSegments][maxSegmentHead]byte
	iov    [maxSegments][segmentPieces]unix.Iovec
	frames [maxSegments][]unix.Iovec
	data   [][]byte // the payload
	next   int      // index of what is left of it
}

var segmentPool = sync.Pool{New: func() any { return new(segments) }}

// writeSegments sends a TCP packet as segments of at most its MSS, with
// checksums. It reports whether the wire took all of them.
func (e *Endpoint) writeSegments(pkt *stack.PacketBuffer) bool {
	ip, tcp := pkt.NetworkHeader().Slice(), pkt.TransportHeader().Slice()
	var eth frameHead
	if len(tcp) < header.TCPMinimumSize || len(ip)+len(tcp) > maxSegmentHead-ethLen {
		e.stats.Malformed.Add(1)
		return false
	}
	size, known := e.fillHead(&eth, &VnetHdr{}, ip)
	if size == 0 {
		return false
	}
	s := segmentPool.Get().(*segments)
	s.payload(pkt, len(ip)+len(tcp))
	left, sent, ok := pkt.Data().Size(), 0, true
	most := int(pkt.GSOOptions.MSS)
	if most == 0 {
		most = left
	}
	for n := 0; ; {
		head := s.heads[n][:ethLen+len(ip)+len(tcp)]
		copy(head, eth[:ethLen])
		copy(head[ethLen:], ip)
		copy(head[ethLen+len(ip):], tcp)
		frame, sum, size := s.cut(n, head, min(left, most))
		left -= size
		finishSegment(head[ethLen:], len(ip), sent, size, left == 0, sum)
		e.stats.ToGuest.count(head[ethLen:], len(head)-ethLen+size)
		sent += size
		s.frames[n] = frame
		n++
		if n == maxSegments || left == 0 {
			ok = e.sendAll(s.frames[:n], ip, known) && ok
			n = 0
		}
		if left == 0 {
			break
		}
	}
	clear(s.data)
	s.data, s.next = s.data[:0], 0
	clear(s.iov[:])
	segmentPool.Put(s)
	return ok
}

// payload takes what comes after the headers of pkt.
func (s *segments) payload(pkt *stack.PacketBuffer, headers int) {
	list, offset := pkt.AsViewList()
	offset += headers
	for v := list.Front(); v != nil; v = v.Next() {
		b := v.AsSlice()
		if offset >= len(b) {
			offset -= len(b)
			continue
		}
		s.data = append(s.data, b[offset:])
		offset = 0
	}
}

// cut makes the n-th frame of head and up to size bytes of payload: fewer when
// that would take too many pieces. sum is the payload's checksum.
func (s *segments) cut(n int, head []byte, size int) (frame []unix.Iovec, sum uint16, took int) {
	iov := &s.iov[n]
	iov[0].Base = &head[0]
	iov[0].SetLen(len(head))
	pieces := 1
	for took < size && pieces < segmentPieces {
		b := s.data[s.next]
		if len(b) > size-took {
			s.data[s.next] = b[size-took:]
			b = b[:size-took]
		} else {
			s.next++
		}
		part := checksum.Checksum(b, 0)
		if took%2 == 1 { // it begins in the middle of a word
			part = part<<8 | part>>8
		}
		sum = checksum.Combine(sum, part)
		iov[pieces].Base = &b[0]
		iov[pieces].SetLen(len(b))
		pieces++
		took += len(b)
	}
	return iov[:pieces], sum, took
}

// finishSegment fits the copied headers to a segment: off and size are its
// place in the payload and its length, sum is its payload's checksum.
func finishSegment(b []byte, ipLen, off, size int, last bool, sum uint16) {
	tcp := header.TCP(b[ipLen:])
	length := uint16(len(tcp) + size)
	var pseudo uint16
	if b[0]>>4 == 4 {
		ip := header.IPv4(b)
		ip.SetTotalLength(uint16(ipLen) + length)
		if off > 0 {
			ip.SetID(ip.ID() + uint16(off)) // another one for each
		}
		ip.SetChecksum(0)
		ip.SetChecksum(^checksum.Checksum(b[:ipLen], 0))
		pseudo = header.PseudoHeaderChecksum(header.TCPProtocolNumber, ip.SourceAddress(), ip.DestinationAddress(), length)
	} else {
		ip := header.IPv6(b)
		ip.SetPayloadLength(uint16(ipLen-header.IPv6MinimumSize) + length)
		pseudo = header.PseudoHeaderChecksum(header.TCPProtocolNumber, tcpip.AddrFrom16([16]byte(b[8:24])), tcpip.AddrFrom16([16]byte(b[24:40])), length)
	}
	binary.BigEndian.PutUint32(tcp[4:], tcp.SequenceNumber()+uint32(off))
	flags := tcp.Flags()
	if !last {
		flags &^= header.TCPFlagFin | header.TCPFlagPsh
	}
	if off > 0 {
		flags &^= 0x80 // CWR, RFC 3168, section 6.1.2
	}
	tcp[header.TCPFlagsOffset] = byte(flags)
	tcp.SetChecksum(0)
	tcp.SetChecksum(^checksum.Combine(checksum.Checksum(tcp, pseudo), sum))
}

// sendAll sends frames of the packet that starts with ip. They wait unless it
// is known where it goes.
func (e *Endpoint) sendAll(frames [][]unix.Iovec, ip []byte, known bool) bool {
	if !known {
		for _, f := range frames {
			e.neigh.wait(destination(ip), flatten(f))
		}
		return true
	}
	e.life.RLock()
	defer e.life.RUnlock()
	if e.closed.Load() {
		return false
	}
	taken := e.wire.SendAll(frames)
	e.stats.WriteDropped.Add(uint64(len(frames) - taken))
	return taken == len(frames)
}
