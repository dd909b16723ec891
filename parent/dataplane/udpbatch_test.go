package dataplane

import (
	"bytes"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

// batched is a datagram of the guest's port to one of two servers.
type batched struct {
	port   uint16
	server int
	size   int
	ttl    uint8
}

// packet is what the link makes of it, with more to come.
func (d batched) packet(to netip.AddrPort, payload []byte) link.Packet {
	const l3, l4 = header.IPv4MinimumSize, header.UDPMinimumSize
	b := make([]byte, l3+l4, l3+l4+len(payload))
	header.IPv4(b).Encode(&header.IPv4Fields{
		TotalLength: uint16(l3 + l4 + len(payload)), TTL: d.ttl, Protocol: uint8(header.UDPProtocolNumber),
		SrcAddr: tcpip.AddrFrom4(guestAddr.As4()), DstAddr: tcpip.AddrFrom4(to.Addr().As4()),
	})
	header.UDP(b[l3:]).Encode(&header.UDPFields{SrcPort: d.port, DstPort: to.Port(), Length: uint16(l4 + len(payload))})
	return link.Packet{Bytes: append(b, payload...), Proto: header.UDPProtocolNumber, HdrLen: l3, More: true}
}

// TestUDPBatch hands the data plane datagrams that have others right behind
// them. Nothing else of the guest's comes meanwhile, so the test can stand in
// for the link.
func TestUDPBatch(t *testing.T) {
	equal := func(n, size int) []batched {
		return slices.Repeat([]batched{{port: 1000, size: size, ttl: 64}}, n)
	}
	for _, c := range []struct {
		name string
		send []batched
		held int // how many wait for Flush
	}{
		{"one", equal(1, 10), 1},
		{"equal", equal(20, 100), 20},
		{"as many as the kernel takes", equal(64, 100), 0},
		{"more", equal(70, 100), 6},
		{"as many bytes as fit", equal(60, 1400), 14},
		{"the largest", equal(2, 65507), 1},
		{"a short one ends it", append(equal(5, 100), equal(1, 99)...), 0},
		{"a longer one begins anew", append(equal(5, 100), equal(2, 101)...), 2},
		{"an empty one is not held", append(equal(5, 100), equal(1, 0)...), 0},
		{"another port", append(equal(5, 100), batched{port: 1001, size: 100, ttl: 64}), 1},
		{"another peer", append(equal(5, 100), batched{port: 1000, server: 1, size: 100, ttl: 64}), 1},
		{"another TTL", append(equal(5, 100), batched{port: 1000, size: 100, ttl: 63}), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGuest(t, nil)
			var servers [2]*net.UDPConn
			var to [2]netip.AddrPort
			for i := range servers {
				s, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				s.SetReadBuffer(4 << 20)
				servers[i] = s
				to[i] = netip.AddrPortFrom(gateway, s.LocalAddr().(*net.UDPAddr).AddrPort().Port())
			}
			var want [2][][]byte
			for i, d := range c.send {
				payload := bytes.Repeat([]byte{byte(i)}, d.size)
				g.plane.udp.Handle(d.packet(to[d.server], payload))
				want[d.server] = append(want[d.server], payload)
			}
			got := 0
			for _, s := range servers {
				got += len(received(s, 50*time.Millisecond))
			}
			if held := len(c.send) - got; held < c.held {
				// Those that came were taken off; what follows would be short.
				t.Fatalf("%d wait for the flush, want %d", held, c.held)
			} else if held > c.held {
				t.Errorf("%d wait for the flush, want %d", held, c.held)
			}
			g.plane.udp.Flush()
			for _, s := range servers {
				got += len(received(s, 50*time.Millisecond))
			}
			if got != len(c.send) {
				t.Errorf("%d of %d came", got, len(c.send))
			}
			// Once more, for what is in them.
			for _, d := range c.send {
				g.plane.udp.Handle(d.packet(to[d.server], want[d.server][0]))
				want[d.server] = append(want[d.server][1:], want[d.server][0])
			}
			g.plane.udp.Flush()
			for i, s := range servers {
				if all := received(s, 50*time.Millisecond); !slices.EqualFunc(all, want[i], bytes.Equal) {
					t.Errorf("server %d got %d datagrams, which are not the %d that were sent, in order", i, len(all), len(want[i]))
				}
			}
		})
	}
}

// received are the datagrams that come until there are none for so long.
func received(c *net.UDPConn, quiet time.Duration) (all [][]byte) {
	b := make([]byte, 65536)
	for {
		c.SetReadDeadline(time.Now().Add(quiet))
		n, _, err := c.ReadFromUDPAddrPort(b)
		if err != nil {
			return all
		}
		all = append(all, slices.Clone(b[:n]))
	}
}

// TestUDPBatchRefused: the guest learns of a closed port although its datagrams
// went out in one piece, and the flow goes on.
func TestUDPBatchRefused(t *testing.T) {
	g := newGuest(t, nil)
	l, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	port := l.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	l.Close()
	closed, open := netip.AddrPortFrom(gateway, port), udpEcho(t)
	d := batched{port: 1000, ttl: 64}
	for range 2 { // the second batch meets the error of the first
		for range 10 {
			g.plane.udp.Handle(d.packet(closed, []byte("anybody there?")))
		}
		g.plane.udp.Flush()
		g.await("ICMP error", isICMP(header.ICMPv4DstUnreachable))
	}
	for range 3 {
		g.plane.udp.Handle(d.packet(open, []byte("hello")))
	}
	g.plane.udp.Flush()
	for range 3 {
		g.await("echo", func(f []byte) bool { return bytes.HasSuffix(f, []byte("hello")) })
	}
}
