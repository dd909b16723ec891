package link

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/parent/gro"
)

// packet6 builds an IPv6 packet. next announces payload, which may begin with
// extension headers.
func packet6(next byte, payload []byte) []byte {
	b := make([]byte, header.IPv6MinimumSize, header.IPv6MinimumSize+len(payload))
	b[0], b[6], b[7] = 6<<4, next, 255
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	src, dst := netip.MustParseAddr("fd00::100").As16(), netip.MustParseAddr("fd00::2").As16()
	copy(b[8:], src[:])
	copy(b[24:], dst[:])
	return append(b, payload...)
}

// FuzzReceive: no frame of the guest makes us panic, and none that is passed
// on is other than it came, or larger than its own header says.
func FuzzReceive(f *testing.F) {
	const repair = 0x80 // the IPv4 header's checksum, which nobody guesses
	f.Add(uint8(0), ethernet(etherIPv4, packet(header.UDPProtocolNumber, udp("x"))))
	f.Add(uint8(1), ethernet(etherARP, make([]byte, 28)))
	f.Add(uint8(5), ethernet(etherIPv4, packet(header.TCPProtocolNumber, make([]byte, 20))))
	f.Add(uint8(3), []byte{})
	for _, c := range []struct {
		next    byte
		payload string
	}{
		{58, "\x80\x00\x00\x00\x00\x01\x00\x01"},
		{hopByHop, "\x3a\x00\x05\x02\x00\x00\x01\x00" + "\x80\x00\x00\x00\x00\x01\x00\x01"},
		{fragmentHeader, "\x11\x00\x00\x01\x00\x00\x00\x07" + "\x00\x01\x00\x02\x00\x20\x00\x00"},
		{fragmentHeader, "\x11\x00\x00\x08\x00\x00\x00\x07" + "12345678"},
		{routingHeader, "\x06\x00\x00\x00\x00\x00\x00\x00" + "\x00\x01\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x50\x02\x00\x00\x00\x00\x00\x00"},
	} {
		f.Add(uint8(2), ethernet(etherIPv6, packet6(c.next, []byte(c.payload))))
	}
	plain, vnet, wire := newHarness(f, 0), newHarness(f, 10), newHarness(f, 0)
	wire.batch = gro.New(wire.gathered)
	f.Fuzz(func(t *testing.T, flags uint8, frame []byte) {
		if len(frame) > viewSize {
			return
		}
		if ip := header.IPv4(frame[min(len(frame), ethLen):]); flags&repair != 0 && ip.IsValid(len(ip)) {
			ip.SetChecksum(0)
			ip.SetChecksum(^ip.CalculateChecksum())
		}
		// The checksum of an IPv4 packet without options, or one inside of another.
		const start, offset = header.IPv4MinimumSize, 6
		v := VnetHdr{NeedsCsum: flags&1 != 0, DataValid: flags&2 != 0, GSO: flags &^ repair >> 2, CsumStart: start, CsumOffset: offset}
		if at := ethLen + start + offset; v.NeedsCsum && at+2 <= len(frame) {
			frame = slices.Concat(frame[:at], []byte{0, 0}, frame[at+2:]) // where it is written to
		}
		for _, h := range []*harness{plain, vnet, wire} {
			h.get(v, frame)
			h.overtakes()
			for _, p := range slices.Concat(h.taken, h.netstack.packets) {
				if v.NeedsCsum && len(p) >= start+offset+2 {
					clear(p[start+offset:][:2])
				}
				if !bytes.HasPrefix(frame[ethLen:], p) {
					t.Errorf("% x of % x", p, frame)
				}
			}
			h.taken, h.netstack.packets = nil, nil
		}
	})
}

// FuzzARP: an answer is for one of our addresses and goes to who asked, and
// nothing teaches us a neighbour at an address of ours.
func FuzzARP(f *testing.F) {
	request := func(op byte, sender, target string) []byte {
		b := []byte{0, 1, 8, 0, 6, 4, 0, op, 2, 0, 0, 0, 0, 1}
		b = append(b, netip.MustParseAddr(sender).AsSlice()...)
		b = append(b, 0, 0, 0, 0, 0, 0)
		return append(b, netip.MustParseAddr(target).AsSlice()...)
	}
	f.Add(request(1, "10.0.2.100", "10.0.2.2"))
	f.Add(request(1, "0.0.0.0", "10.0.2.3"))
	f.Add(request(1, "10.0.2.2", "10.0.2.2"))
	f.Add(request(1, "10.0.2.100", "10.0.2.1"))
	f.Add(request(2, "10.0.2.100", "10.0.2.2"))
	f.Add(append(request(1, "10.0.2.100", "10.0.2.2"), make([]byte, 18)...))
	h := newHarness(f, 0)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > viewSize-ethLen {
			return
		}
		h.get(VnetHdr{}, ethernet(etherARP, b))
		var reply [2048]byte
		n, err := unix.Read(h.peer, reply[:])
		for _, a := range h.e.addrs {
			if m, ok := h.e.neigh.known(a); ok {
				t.Errorf("%v is a neighbour: %v", a, m)
			}
		}
		if err != nil {
			return // none
		}
		arp := reply[ethLen:n]
		if n != arpFrame || arp[7] != arpReply || !h.e.ours(netip.AddrFrom4([4]byte(arp[14:18]))) {
			t.Fatalf("answer % x to % x", reply[:n], b)
		}
		if !bytes.Equal(reply[:6], b[8:14]) || !bytes.Equal(arp[18:28], b[8:18]) || !bytes.Equal(arp[14:18], b[24:28]) {
			t.Fatalf("answer % x to % x: for somebody else", reply[:n], b)
		}
	})
}

// FuzzWalkIPv6: a chain of extension headers ends within the packet, and a
// packet that is cut off where it ends has the same one.
func FuzzWalkIPv6(f *testing.F) {
	f.Add(packet6(17, make([]byte, 8)))
	f.Add(packet6(hopByHop, []byte("\x3c\x00\x01\x04\x00\x00\x00\x00"+"\x2b\x00\x01\x04\x00\x00\x00\x00"+"\x2c\x00\x00\x00\x00\x00\x00\x00"+"\x06\x00\x00\x01\x00\x00\x00\x00")))
	f.Add(packet6(fragmentHeader, []byte("\x3c\x00\x00\x08\x00\x00\x00\x00")))
	f.Add(packet6(destinationOptions, []byte("\x11\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, ok := WalkIPv6(b)
		if !ok {
			return
		}
		if c.HdrLen < header.IPv6MinimumSize || c.HdrLen > len(b) || c.Later && !c.Fragment {
			t.Fatalf("%+v of %d bytes", c, len(b))
		}
		switch c.Proto {
		case hopByHop, routingHeader, fragmentHeader, destinationOptions:
			if !c.Later {
				t.Fatalf("%+v: is an extension header", c)
			}
		}
		if again, ok := WalkIPv6(b[:c.HdrLen]); !ok || again != c {
			t.Fatalf("cut off: %+v, %v, want %+v", again, ok, c)
		}
	})
}
