package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

var (
	unspecified6 = netip.IPv6Unspecified()
	allRouters6  = netip.MustParseAddr("ff02::2")
)

// solicitedNode is the group that an address is asked for in (RFC 4291, section
// 2.7.1).
func solicitedNode(a netip.Addr) netip.Addr {
	b := netip.MustParseAddr("ff02::1:ff00:0").As16()
	from := a.As16()
	copy(b[13:], from[13:])
	return netip.AddrFrom16(b)
}

// Neighbour solicitations are answered for our addresses, and only where no
// router can have passed them on. Nobody else's address is claimed: the guest
// would take its own for a duplicate.
func TestIPv6NeighbourSolicitations(t *testing.T) {
	t.Parallel()
	s := newStation6(t)
	source := append([]byte{1, 1}, s.mac[:]...)
	for _, c := range []struct {
		name    string
		src     netip.Addr
		dst     netip.Addr // the zero Addr: the target's group
		target  string
		hops    uint8
		code    uint8
		options []byte
		want    string // to whom it is advertised
	}{
		{"router", s.addr, netip.Addr{}, router6, neighbourHops, 0, source, guest6},
		{"gateway", s.addr, netip.Addr{}, gateway6, neighbourHops, 0, source, guest6},
		{"name server", s.addr, netip.Addr{}, nameserver6, neighbourHops, 0, source, guest6},
		{"unicast", s.addr, netip.MustParseAddr(gateway6), gateway6, neighbourHops, 0, nil, guest6},
		{"is it taken?", unspecified6, netip.Addr{}, gateway6, neighbourHops, 0, nil, "ff02::1"},

		{"a hop limit of 254", s.addr, netip.Addr{}, gateway6, neighbourHops - 1, 0, source, ""},
		{"a hop limit of 64", s.addr, netip.Addr{}, gateway6, usualHops, 0, source, ""},
		{"a hop limit of 1", s.addr, netip.Addr{}, gateway6, 1, 0, source, ""},
		{"another code", s.addr, netip.Addr{}, gateway6, neighbourHops, 1, source, ""},
		{"an option of no length", s.addr, netip.Addr{}, gateway6, neighbourHops, 0, []byte{1, 0, 0, 0, 0, 0, 0, 0}, ""},
		{"an option without an end", s.addr, netip.Addr{}, gateway6, neighbourHops, 0, []byte{1, 2, 0, 0, 0, 0, 0, 0}, ""},
		{"the guest's own address", unspecified6, netip.Addr{}, guest6, neighbourHops, 0, nil, ""},
		{"an address of the prefix", s.addr, netip.Addr{}, "fd00::1", neighbourHops, 0, source, ""},
		{"the last of the prefix", s.addr, netip.Addr{}, "fd00::ffff:ffff:ffff:ffff", neighbourHops, 0, source, ""},
		{"a link-local address", s.addr, netip.Addr{}, "fe80::1", neighbourHops, 0, source, ""},
		{"a server's address", s.addr, netip.Addr{}, lab.InetAddr6.String(), neighbourHops, 0, source, ""},
		{"the host's address", s.addr, netip.Addr{}, lab.HostAddr6.String(), neighbourHops, 0, source, ""},
		{"a group", s.addr, netip.MustParseAddr("ff02::1"), "ff02::1", neighbourHops, 0, source, ""},
		{"is it taken? by unicast", unspecified6, netip.MustParseAddr(gateway6), gateway6, neighbourHops, 0, nil, ""},
		{"is it taken? from an Ethernet address", unspecified6, netip.Addr{}, gateway6, neighbourHops, 0, source, ""},
	} {
		target := netip.MustParseAddr(c.target)
		dst := c.dst
		if !dst.IsValid() {
			dst = solicitedNode(target)
		}
		body := append(append(make([]byte, 4), target.AsSlice()...), c.options...)
		s.send6(packet6(unix.IPPROTO_ICMPV6, c.hops, c.src, dst, icmp6(neighbourSolicit, c.code, c.src, dst, body)))
		want := ""
		if c.want != "" {
			want = fmt.Sprintf("advertisement of %s to %s", c.target, c.want)
		}
		f := s.answerFrame6(want != "")
		got := ""
		if f != nil {
			got = f.String()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", c.name, got, want)
		}
		if want != "" && f != nil && (f.hops != neighbourHops || f.from != routerMAC || !bytes.HasSuffix(f.msg, append([]byte{2, 1}, routerMAC[:]...))) {
			t.Errorf("%s: %x from %x with a hop limit of %d", c.name, f.msg, f.from, f.hops)
		}
		// The same in fragments, of which RFC 6980 wants none.
		if c.want == "" {
			continue
		}
		msg := icmp6(neighbourSolicit, c.code, c.src, dst, body)
		s.send6(packet6(fragmentHeader, c.hops, c.src, dst, append(fragment(unix.IPPROTO_ICMPV6, 0, false, 1), msg...)))
		if got := s.answer6(false); got != "" {
			t.Errorf("%s, in a fragment: %q", c.name, got)
		}
	}
}

// Router solicitations with another hop limit than 255 are not answered, nor
// ones that are not right.
func TestIPv6RouterSolicitations(t *testing.T) {
	t.Parallel()
	s := newStation6(t)
	me := netip.MustParseAddr("fe80::100")
	source := append([]byte{1, 1}, s.mac[:]...)
	for _, c := range []struct {
		name    string
		src     netip.Addr
		hops    uint8
		code    uint8
		options []byte
		answer  bool
	}{
		{"with an Ethernet address", me, neighbourHops, 0, source, true},
		{"without", me, neighbourHops, 0, nil, true},
		{"a hop limit of 254", me, neighbourHops - 1, 0, source, false},
		{"a hop limit of 1", me, 1, 0, source, false},
		{"another code", me, neighbourHops, 1, source, false},
		{"an option of no length", me, neighbourHops, 0, []byte{1, 0, 0, 0, 0, 0, 0, 0}, false},
		{"nobody, from an Ethernet address", unspecified6, neighbourHops, 0, source, false},
	} {
		body := append(make([]byte, 4), c.options...)
		s.send6(packet6(unix.IPPROTO_ICMPV6, c.hops, c.src, allRouters6, icmp6(routerSolicitation, c.code, c.src, allRouters6, body)))
		f := s.answerFrame6(c.answer)
		if got := f != nil; got != c.answer {
			t.Errorf("%s: %v", c.name, f)
			continue
		}
		if c.answer && (f.msg[0] != routerAdvertisement || f.src.String() != router6 || f.dst != c.src || f.hops != neighbourHops) {
			t.Errorf("%s: %v to %v with a hop limit of %d", c.name, f, f.dst, f.hops)
		}
	}
}

// The first router advertisement comes by itself, at once, with all that a
// guest needs, in the units that RFC 4861 and RFC 8106 give.
func TestIPv6RouterAdvertisement(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args   []string
		mtu    uint32
		prefix string
		dns    string
	}{
		{nil, 1500, "fd00::", "fd00::3"},
		{[]string{"--mtu=65520", "--cidr6=fd5b:1:2:3::/64"}, 65520, "fd5b:1:2:3::", "fd5b:1:2:3::3"},
		{[]string{"--mtu=1280", "--disable-dns"}, 1280, "fd00::", ""},
	} {
		start := time.Now()
		s := newStation6(t, c.args...)
		var f *frame6
		s.want("router advertisement", func(b []byte) bool {
			f = parse6(b)
			return f != nil && f.proto == unix.IPPROTO_ICMPV6 && f.msg[0] == routerAdvertisement
		})
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("%v: it came after %v", c.args, took)
		}
		if want := [6]byte{0x33, 0x33, 0, 0, 0, 1}; f.to != want || f.from != routerMAC ||
			f.src.String() != router6 || f.dst.String() != "ff02::1" || f.hops != neighbourHops {
			t.Errorf("%v: from %x, %v to %x, %v with a hop limit of %d", c.args, f.from, f.src, f.to, f.dst, f.hops)
		}
		want := []byte{
			routerAdvertisement, 0, f.msg[2], f.msg[3],
			64, 0, // hop limit for packets; no flags
			1800 >> 8, 1800 & 0xff, // router lifetime, seconds
			0, 0, 0, 0, 0, 0, 0, 0, // reachable time, retransmission timer, milliseconds: unspecified
			1, 1, 0x52, 0x56, 0, 0, 0, 2, // our Ethernet address
			5, 1, 0, 0, // MTU
		}
		want = binary.BigEndian.AppendUint32(want, c.mtu)
		want = append(want, 3, 4, 64, 0xc0)                  // prefix, on-link and for autoconfiguration
		want = binary.BigEndian.AppendUint32(want, 24*60*60) // valid, seconds
		want = binary.BigEndian.AppendUint32(want, 4*60*60)  // preferred, seconds
		want = append(want, 0, 0, 0, 0)
		want = append(want, netip.MustParseAddr(c.prefix).AsSlice()...)
		if c.dns != "" {
			want = append(want, 25, 3, 0, 0)
			want = binary.BigEndian.AppendUint32(want, 1800) // seconds
			want = append(want, netip.MustParseAddr(c.dns).AsSlice()...)
		}
		if !bytes.Equal(f.msg, want) {
			t.Errorf("%v: advertised\n%x, want\n%x", c.args, f.msg, want)
		}
		sum := icmp6(f.msg[0], f.msg[1], f.src, f.dst, f.msg[4:])
		if !bytes.Equal(sum[2:4], f.msg[2:4]) {
			t.Errorf("%v: checksum %x, want %x", c.args, f.msg[2:4], sum[2:4])
		}
	}
}

// An information-request is answered where it came from, from the server's
// port, whatever the client's is.
func TestIPv6InformationRequest(t *testing.T) {
	t.Parallel()
	s := newStation6(t)
	me := netip.MustParseAddr("fe80::100")
	servers := netip.MustParseAddr("ff02::1:2")
	request := []byte{11, 1, 2, 3, 0, 6, 0, 2, 0, 23}
	for _, c := range []struct {
		port, to uint16
		dst      netip.Addr
		answer   bool
	}{
		{546, 547, servers, true},
		{40000, 547, servers, true},
		{547, 547, servers, true},
		{546, 547, netip.MustParseAddr(router6), true},
		{546, 546, servers, false},
		{546, 547, netip.MustParseAddr("ff02::1"), false},
		{546, 547, netip.MustParseAddr("ff05::1:3"), false},
	} {
		from, to := netip.AddrPortFrom(me, c.port), netip.AddrPortFrom(c.dst, c.to)
		s.send6(packet6(unix.IPPROTO_UDP, 1, me, c.dst, udp6(from, to, request)))
		f := s.answerFrame6(c.answer)
		what := fmt.Sprintf("from %v to %v", from, to)
		if !c.answer {
			if f != nil && f.proto == unix.IPPROTO_UDP {
				t.Errorf("%s: %v", what, f)
			}
			continue
		}
		if f == nil || f.proto != unix.IPPROTO_UDP {
			t.Errorf("%s: %v", what, f)
			continue
		}
		src, dst := binary.BigEndian.Uint16(f.msg), binary.BigEndian.Uint16(f.msg[2:])
		if src != 547 || dst != c.port || f.src.String() != router6 || f.dst != me {
			t.Errorf("%s: answered from [%v]:%d to [%v]:%d", what, f.src, src, f.dst, dst)
		}
		nameserver := append([]byte{0, 23, 0, 16}, netip.MustParseAddr(nameserver6).AsSlice()...)
		if answer := f.msg[8:]; !bytes.HasPrefix(answer, []byte{7, 1, 2, 3}) || !bytes.Contains(answer, nameserver) {
			t.Errorf("%s: answered %x", what, answer)
		}
	}
}

// A packet whose source cannot be the guest's is answered by nobody, and does
// not make us send to somebody else.
func TestIPv6ForeignSources(t *testing.T) {
	t.Parallel()
	s := newStation6(t)
	for _, src := range []string{gateway6, nameserver6, router6, "fe80::3", "::", "::1", "ff02::1", "ff0e::1", "::ffff:10.0.2.100"} {
		for _, to := range []string{gateway6, lab.InetAddr6.String()} {
			a, dst := netip.MustParseAddr(src), netip.MustParseAddr(to)
			body := []byte{crafted >> 8, crafted & 0xff, 0, 1, 'h', 'i'}
			s.send6(packet6(unix.IPPROTO_ICMPV6, usualHops, a, dst, icmp6(echoRequest6, 0, a, dst, body)))
			if got := s.answer6(false); got != "" {
				t.Errorf("ping of %s from %s: %q", to, src, got)
			}
			s.send6(packet6(unix.IPPROTO_UDP, usualHops, a, dst, udp6(netip.AddrPortFrom(a, crafted), netip.AddrPortFrom(dst, lab.EchoPort), []byte("hi"))))
			if got := s.answer6(false); got != "" {
				t.Errorf("datagram to %s from %s: %q", to, src, got)
			}
			s.send6(packet6(unix.IPPROTO_TCP, usualHops, a, dst, syn6(netip.AddrPortFrom(a, crafted), netip.AddrPortFrom(dst, lab.EchoPort))))
			if got := s.answer6(false); got != "" {
				t.Errorf("SYN to %s from %s: %q", to, src, got)
			}
		}
	}
	// And the guest itself is answered as ever.
	proto, dst, msg := s.datagram6(lab.InetAddr6.String(), []byte("hi"))
	s.send6(packet6(proto, usualHops, s.addr, dst, msg))
	if got, want := s.answer6(true), "datagram from "+lab.InetAddr6.String(); got != want {
		t.Errorf("the guest's own: %q, want %q", got, want)
	}
}
