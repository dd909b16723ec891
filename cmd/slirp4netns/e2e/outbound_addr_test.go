package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// frames is a packet socket on the guest's tap0, for what no program's socket
// would send.
type frames struct {
	*udpSocket
	mac   net.HardwareAddr
	index int
}

func newFrames(t *testing.T, g *lab.Guest) *frames {
	t.Helper()
	f := &frames{udpSocket: &udpSocket{t: t}}
	if err := g.Do(func() error {
		ifi, err := net.InterfaceByName("tap0")
		if err != nil {
			return err
		}
		f.mac, f.index = ifi.HardwareAddr, ifi.Index
		f.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		return unix.Bind(f.fd, &unix.SockaddrLinklayer{Protocol: 0x0008, Ifindex: ifi.Index}) // ETH_P_IP, big-endian
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(f.fd) })
	return f
}

// source is where crafted packets come from: a port that no socket has.
const source = 40404

// send sends one packet of the protocol to dst: a UDP datagram, a SYN, an echo
// request, or 8 bytes of anything else.
func (f *frames) send(proto uint8, dst netip.AddrPort) {
	f.t.Helper()
	f.sendFrom(netip.MustParseAddr("10.0.2.100"), proto, dst)
}

// sendFrom is send from any address.
func (f *frames) sendFrom(src netip.Addr, proto uint8, dst netip.AddrPort) {
	f.t.Helper()
	l4 := make([]byte, 8)
	switch proto {
	case unix.IPPROTO_ICMP:
		l4 = icmpMessage(8, 0, source, 1, "")
	case unix.IPPROTO_TCP:
		l4 = make([]byte, 20)
		l4[12], l4[13] = 5<<4, 2 // SYN
		binary.BigEndian.PutUint16(l4[14:], 65535)
	case unix.IPPROTO_UDP:
		l4 = append(l4, "hi"...)
		binary.BigEndian.PutUint16(l4[4:], uint16(len(l4))) // and no checksum
	}
	if proto != unix.IPPROTO_ICMP {
		binary.BigEndian.PutUint16(l4, source)
		binary.BigEndian.PutUint16(l4[2:], dst.Port())
	}
	from, to := src.As4(), dst.Addr().As4()
	if proto == unix.IPPROTO_TCP {
		pseudo := append(append(append([]byte{}, from[:]...), to[:]...), 0, proto, 0, byte(len(l4)))
		binary.BigEndian.PutUint16(l4[16:], onesComplement(append(pseudo, l4...)))
	}
	ip := make([]byte, 20, 20+len(l4))
	ip[0], ip[8], ip[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(ip[2:], uint16(20+len(l4)))
	copy(ip[12:], from[:])
	copy(ip[16:], to[:])
	binary.BigEndian.PutUint16(ip[10:], onesComplement(ip))
	frame := append([]byte{0x52, 0x55, 10, 0, 2, 2}, f.mac...)
	frame = append(append(append(frame, 8, 0), ip...), l4...)
	if _, err := unix.Write(f.fd, frame); err != nil {
		f.t.Fatal(err)
	}
}

// onesComplement is the Internet checksum of RFC 1071; b has an even length.
func onesComplement(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// answer says what comes back from a packet that was sent: "ICMP 3/0 from A",
// "datagram from A", "SYN-ACK from A", "RST from A", "reply from A", or "".
func (f *frames) answer(timeout time.Duration) string {
	f.t.Helper()
	b := make([]byte, 1<<16)
	for end := time.Now().Add(timeout); f.wait(unix.POLLIN, time.Until(end)); {
		n, sa, err := unix.Recvfrom(f.fd, b, unix.MSG_DONTWAIT)
		if err != nil || n < 14+28 || sa.(*unix.SockaddrLinklayer).Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		ip := b[14:n]
		src := netip.AddrFrom4([4]byte(ip[12:16]))
		l4 := ip[20:]
		switch proto := ip[9]; {
		case proto == unix.IPPROTO_ICMP && l4[0] == 0:
			return fmt.Sprintf("reply from %s", src)
		case proto == unix.IPPROTO_ICMP && l4[0] != 8:
			return fmt.Sprintf("ICMP %d/%d from %s", l4[0], l4[1], src)
		case binary.BigEndian.Uint16(l4[2:]) != source:
			continue
		case proto == unix.IPPROTO_UDP:
			return fmt.Sprintf("datagram from %s", src)
		case proto == unix.IPPROTO_TCP && l4[13]&4 != 0:
			return fmt.Sprintf("RST from %s", src)
		case proto == unix.IPPROTO_TCP && l4[13]&0x12 == 0x12:
			return fmt.Sprintf("SYN-ACK from %s", src)
		}
	}
	return ""
}

// protocols are what an address is tried with, and at which port.
var protocols = []struct {
	name  string
	proto uint8
	port  uint16
}{
	{"TCP", unix.IPPROTO_TCP, lab.EchoPort},
	{"UDP", unix.IPPROTO_UDP, lab.EchoPort},
	{"ping", unix.IPPROTO_ICMP, 0},
}

// Every address of the host's loopback, by every protocol, in crafted frames.
// The gateway is the only way there, and --disable-host-loopback closes it.
//
// C lets 127/8 and 0.0.0.0 through, with the option too. We never do: nothing
// but a crafted frame has such a destination (RFC 1122, section 3.2.1.3).
func TestAddrHostLoopback(t *testing.T) {
	lab.Host.Sysctl(t, "net.ipv4.icmp_ratemask", "0")
	const no = "ICMP 3/0 from 10.0.2.2"
	type answers [3]string // to TCP, UDP and ping
	refused := answers{no, no, no}
	none := answers{}
	for _, row := range []struct {
		addr         string
		open, closed answers // ours without and with the option
		c            answers // C's without it
		cClosed      answers
	}{
		{
			"10.0.2.2",
			answers{"SYN-ACK from 10.0.2.2", "datagram from 10.0.2.2", "reply from 10.0.2.2"},
			answers{no, no, "reply from 10.0.2.2"},
			answers{"SYN-ACK from 10.0.2.2", "datagram from 10.0.2.2", "reply from 10.0.2.2"},
			answers{no, no, "reply from 10.0.2.2"},
		},
		{
			"255.255.255.255",
			answers{no, "datagram from 10.0.2.2", ""}, answers{no, no, ""},
			answers{"SYN-ACK from 255.255.255.255", "datagram from 127.0.0.1", no}, refused,
		},
		{"127.0.0.1", refused, refused, reached("127.0.0.1", "127.0.0.1"), reached("127.0.0.1", "127.0.0.1")},
		{"127.1.2.3", refused, refused, closedPort("127.1.2.3"), closedPort("127.1.2.3")},
		{"127.255.255.254", refused, refused, closedPort("127.255.255.254"), closedPort("127.255.255.254")},
		{"0.0.0.0", refused, refused, reached("0.0.0.0", "127.0.0.1"), reached("0.0.0.0", "127.0.0.1")},
		{"0.0.0.1", refused, refused, none, none},
		{"0.1.2.3", refused, refused, none, none},
	} {
		for _, closed := range []bool{false, true} {
			var args []string
			sees := [3]expectation{}
			for i := range sees {
				sees[i] = expectation{row.open[i], row.c[i]}
			}
			if closed {
				args = []string{"--disable-host-loopback"}
				for i := range sees {
					sees[i] = expectation{row.closed[i], row.cClosed[i]}
				}
			}
			t.Run(fmt.Sprint(row.addr, args), func(t *testing.T) {
				onBoth(t, args, func(t *testing.T, g *lab.Guest, c bool) {
					f := newFrames(t, g)
					for i, p := range protocols {
						f.send(p.proto, netip.AddrPortFrom(netip.MustParseAddr(row.addr), p.port))
						sees[i].check(t, p.name, f.answer(300*time.Millisecond), c)
					}
				})
			})
		}
	}
}

// reached is what comes back from servers, closedPort from where there is none.
func reached(tcp, udp string) [3]string {
	return [3]string{"SYN-ACK from " + tcp, "datagram from " + udp, "reply from " + tcp}
}

func closedPort(addr string) [3]string {
	return [3]string{"RST from " + addr, "ICMP 3/3 from " + addr, "reply from " + addr}
}

// What real programs meet under --disable-host-loopback: an error at once, and
// all other services as ever. The host's own address is not loopback.
func TestAddrDisableHostLoopback(t *testing.T) {
	_, own := serveUDP(t, lab.Host, "198.51.100.1:0", func(string, netip.AddrPort) string { return "hi" })
	serveHTTP(t, lab.Host, "198.51.100.1:8080", "own\n")
	onBoth(t, []string{"--disable-host-loopback"}, func(t *testing.T, g *lab.Guest, c bool) {
		_, err := g.Dial("tcp4", "10.0.2.2:8000", commandTimeout)
		if !errors.Is(err, unix.ENETUNREACH) {
			t.Errorf("gateway, TCP: %v", err)
		}
		s := newUDP(t, g)
		s.connect("10.0.2.2:7")
		s.send("hi", "")
		both("ENETUNREACH 3/0 from 10.0.2.2").check(t, "gateway, UDP", s.fault(time.Second), c)
		s = newUDP(t, g)
		s.send("hi", own)
		both("hi from "+own).check(t, "host's own address, UDP", s.receive(time.Second), c)
		both("own\n").check(t, "host's own address, TCP", curl(t, g, "http://198.51.100.1:8080/"), c)
		both("reply ttl=255").check(t, "ping of the gateway", pingSays(t, g, "10.0.2.2"), c)
		if out := g.Run(t, commandTimeout, "dig", "+short", "@10.0.2.3", lab.Domain, "A"); out != "198.51.100.2\n" {
			t.Errorf("DNS: %q", out)
		}
	})
}

// serveHTTP serves a page in a namespace until the test ends.
func serveHTTP(t *testing.T, ns namespace, addr, page string) {
	t.Helper()
	var l net.Listener
	if err := ns.Do(func() (err error) {
		l, err = net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go http.Serve(l, lab.Handler(page))
}

// The metadata service of clouds has a link-local address, and is reached as
// from the host.
func TestAddrLinkLocal(t *testing.T) {
	inetAddress(t, "169.254.169.254/32")
	serveHTTP(t, lab.Inet, "169.254.169.254:80", "metadata\n")
	_, udp := serveUDP(t, lab.Inet, "169.254.169.254:0", func(string, netip.AddrPort) string { return "hi" })
	onBoth(t, nil, func(t *testing.T, g *lab.Guest, c bool) {
		both("metadata\n").check(t, "TCP", curl(t, g, "http://169.254.169.254/"), c)
		s := newUDP(t, g)
		s.send("hi", udp)
		both("hi from "+udp).check(t, "UDP", s.receive(2*time.Second), c)
	})
}

// An address of the guest's own network that is not ours is not answered by
// ARP: the guest's kernel finds that nobody is there.
func TestAddrInNetwork(t *testing.T) {
	onBoth(t, nil, func(t *testing.T, g *lab.Guest, c bool) {
		start := time.Now()
		_, err := g.Dial("tcp4", "10.0.2.77:80", commandTimeout)
		if took := time.Since(start); !errors.Is(err, unix.EHOSTUNREACH) || took < time.Second || took > 5*time.Second {
			t.Errorf("%v after %v, want EHOSTUNREACH after 3 s", err, took)
		}
	})
}

// Whoever sends to such an address all the same, past ARP, reaches it in the
// host's network, where it may be a real one. With C the answer is lost in some
// runs and arrives in others.
func TestAddrInNetworkOfHost(t *testing.T) {
	inetAddress(t, "10.0.2.77/32")
	_, udp := serveUDP(t, lab.Inet, "10.0.2.77:0", func(string, netip.AddrPort) string { return "hi" })
	serveHTTP(t, lab.Inet, "10.0.2.77:80", "clash\n")
	onBoth(t, nil, func(t *testing.T, g *lab.Guest, c bool) {
		g.Run(t, commandTimeout, "ip", "neigh", "add", "10.0.2.77", "lladdr", "52:55:0a:00:02:02", "dev", "tap0")
		s := newUDP(t, g)
		s.send("hi", udp)
		if got := s.receive(time.Second); got != "hi from "+udp && !(c && got == "") {
			t.Errorf("UDP: the guest sees %q, want the answer of %s", got, udp)
		}
		both("clash\n").check(t, "TCP", curl(t, g, "http://10.0.2.77/"), c)
	})
}

// Other protocols have no way out, and nobody answers for them.
func TestAddrOtherProtocols(t *testing.T) {
	onBoth(t, nil, func(t *testing.T, g *lab.Guest, c bool) {
		f := newFrames(t, g)
		for _, proto := range []uint8{2, 4, 33, 47, 50, 132, 136, 255} {
			for _, addr := range []string{"10.0.2.2:7", "198.51.100.2:7"} {
				f.send(proto, netip.MustParseAddrPort(addr))
			}
		}
		both("").check(t, "other protocols", f.answer(300*time.Millisecond), c)
	})
}
