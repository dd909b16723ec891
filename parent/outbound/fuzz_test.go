package outbound

import (
	"bytes"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
	"github.com/slirp4netns-go/slirp4netns/parent/hostsock"
	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

// wire keeps what is sent to the guest.
type wire struct{ packets [][]byte }

func (w *wire) Send(_ *link.VnetHdr, hdr, payload []byte) bool {
	w.packets = append(w.packets, append(bytes.Clone(hdr), payload...))
	return true
}
func (*wire) TakesPartialChecksums() bool { return false }
func (*wire) TakesDatagrams(bool) bool    { return false }
func (*wire) MTU() uint32                 { return 65520 }

// closedPolicy lets nothing leave this process.
var closedPolicy = &Policy{
	Gateway: netip.MustParseAddr("10.0.2.2"), Nameserver: netip.MustParseAddr("10.0.2.3"),
	Gateway6: netip.MustParseAddr("fd00::2"), Nameserver6: netip.MustParseAddr("fd00::3"),
	Network6: netip.MustParsePrefix("fd00::/64"), LinkLocal6: []netip.Addr{netip.MustParseAddr("fe80::2")},
	DisableHostLoopback: true, DisableDNS: true,
}

// FuzzEcho: of the guest's ICMP messages an echo request to an address of ours
// is answered with the same bytes; whatever else is sent is an error about it.
func FuzzEcho(f *testing.F) {
	f.Add([]byte("\x08\x00\x00\x00\x00\x01\x00\x02payload"), uint8(0), uint8(64))
	f.Add([]byte("\x80\x00\x00\x00\x00\x01\x00\x02payload"), uint8(9), uint8(0))
	f.Add([]byte("\x08\x00\x00\x00\x00\x01\x00\x02"), uint8(2), uint8(1))
	f.Add([]byte("\x03\x01\x00\x00\x00\x00\x00\x00\x45\x00"), uint8(0), uint8(64))
	to4 := []string{"10.0.2.2", "10.0.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255", "0.0.0.0"}
	to6 := []string{"fd00::2", "fd00::3", "fe80::2", "fd00::77", "::1", "ff02::1"}
	var w wire
	echo := NewEcho(EchoConfig{Policy: closedPolicy, Sender: datagram.New(&w)})
	f.Fuzz(func(t *testing.T, msg []byte, to, ttl uint8) {
		if len(msg) > 65000 {
			return
		}
		w.packets = nil
		p := link.Packet{Proto: header.ICMPv4ProtocolNumber, HdrLen: header.IPv4MinimumSize}
		src, dst := netip.MustParseAddr("10.0.2.100"), netip.MustParseAddr(to4[int(to)%len(to4)])
		if to&8 != 0 {
			p.Proto, p.HdrLen = header.ICMPv6ProtocolNumber, header.IPv6MinimumSize
			src, dst = netip.MustParseAddr("fd00::100"), netip.MustParseAddr(to6[int(to)%len(to6)])
		} else if len(msg) >= echoLen && msg[2] == 0 && msg[3] == 0 {
			icmp4.setID(msg, 1) // with a checksum that is right
		}
		p.Bytes = quotePacket(src, dst, uint8(p.Proto), msg)
		if p.V6() {
			p.Bytes[7] = ttl
		} else {
			p.Bytes[8] = ttl
		}
		echo.Handle(p)
		if echo.Len() != 0 || len(w.packets) > 1 {
			t.Fatalf("%d flows, %d packets", echo.Len(), len(w.packets))
		}
		for _, b := range w.packets {
			r := link.Packet{Bytes: b, Proto: p.Proto, HdrLen: p.HdrLen}
			if r.Dst() != src || !icmpSumOK(r) {
				t.Fatalf("answer % x", b)
			}
			got := b[r.HdrLen:]
			switch {
			case got[0] == icmpOf(src).reply:
				if !closedPolicy.Local(dst) || r.Src() != dst || !bytes.Equal(got[4:], msg[4:]) {
					t.Errorf("% x answers % x to %v", b, msg, dst)
				}
			case !bytes.HasPrefix(p.Bytes, got[8:]):
				t.Errorf("% x is not about % x", b, p.Bytes)
			}
		}
	})
}

// icmpSumOK verifies the checksum of a packet for the guest.
func icmpSumOK(p link.Packet) bool {
	if p.V6() {
		return link.ChecksumOK(p)
	}
	return checksum.Checksum(p.Bytes[p.HdrLen:], 0) == 0xffff
}

// FuzzQuote: what a router on the path quotes of the guest's packet, of
// whatever length, makes an error for the guest that quotes the same.
func FuzzQuote(f *testing.F) {
	f.Add([]byte("\x08\x00\x00\x00\x00\x01\x00\x02payload"), false)
	f.Add([]byte("\x80\x00\x00\x00\x00\x01\x00\x02payload"), true)
	f.Add([]byte("\x08"), false)
	f.Fuzz(func(t *testing.T, quoted []byte, v6 bool) {
		if len(quoted) > 65000 {
			return
		}
		guest, dst := netip.MustParseAddr("10.0.2.100"), netip.MustParseAddr("198.51.100.2")
		if v6 {
			guest, dst = netip.MustParseAddr("fd00::100"), netip.MustParseAddr("2001:db8::2")
		}
		fl := &pingFlow{key: pingKey{guest, 7}, icmp: icmpOf(guest)}
		fl.dgram.cfg = &dgramConfig{Policy: closedPolicy}
		b, ok := fl.quote(hostsock.Error{Payload: quoted, Dst: netip.AddrPortFrom(dst, 0)})
		if ok != (len(quoted) >= echoLen) {
			t.Fatalf("quoted: %v, of %d bytes", ok, len(quoted))
		}
		if !ok {
			return
		}
		p := link.Packet{Bytes: b}
		if p.Src() != guest || p.Dst() != dst || len(b) != len(quoted)+map[bool]int{false: 20, true: 40}[v6] {
			t.Errorf("% x of % x", b, quoted)
		}
	})
}
