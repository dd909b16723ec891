package e2e

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// narrow is the MTU of a link behind the router, in bytes, and tooLarge a
// payload that does not pass it, but passes the guest's link and the host's.
const (
	narrow   = 1300
	tooLarge = 1400
)

// Lengths of headers, in bytes.
const (
	ipv6Header = 40
	udpHeader  = 8 // and that of an echo request
)

// A packet of the guest's that is too big for the path is answered by the
// router's packet too big, with the path's MTU: the guest's kernel then knows,
// and sends fragments or tells its program, as on the host.
func TestIPv6PathMTUByUDP(t *testing.T) {
	lab.Beyond(t, narrow)
	to := netip.AddrPortFrom(lab.BeyondAddr6, lab.EchoPort).String()
	router := "EMSGSIZE 2/0 from " + lab.InetAddr6.String()
	g, _ := configured6(t)
	s := newUDP6(t, g)
	s.connect(to)
	s.set(unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DO)
	if err := s.send(strings.Repeat("x", tooLarge), ""); err != nil {
		t.Fatal(err)
	}
	if got := s.fault(time.Second); got != router {
		t.Errorf("%d bytes over %d: %q, want %q", tooLarge, narrow, got, router)
	}
	if mtu, err := unix.GetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_MTU); mtu != narrow {
		t.Errorf("IPV6_MTU %d, %v; want %d", mtu, err, narrow)
	}
	if err := s.send(strings.Repeat("x", tooLarge), ""); err != unix.EMSGSIZE {
		t.Errorf("once more: %v, want EMSGSIZE", err)
	}
	if got := echoed(s, "", narrow-ipv6Header-udpHeader); got != "" {
		t.Error(got)
	}
	// A program that asks for nothing has its datagrams sent in fragments.
	s = newUDP6(t, g)
	for _, size := range []int{tooLarge, 9000, 65000} {
		if got := echoed(s, to, size); got != "" {
			t.Error(got)
		}
	}
	// Another guest's kernel knows nothing, but the host does.
	g, _ = configured6(t)
	s = newUDP6(t, g)
	s.connect(to)
	s.set(unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DO)
	if err := s.send(strings.Repeat("x", tooLarge), ""); err != nil {
		t.Fatal(err)
	}
	if got, want := s.fault(time.Second), "EMSGSIZE 2/0 from "+gateway6; got != want {
		t.Errorf("another guest: %q, want %q", got, want)
	}
}

// echoed sends size bytes to an echo server, "" for where the socket is
// connected to, and tells what went wrong.
func echoed(s *udpSocket, to string, size int) string {
	if err := s.send(strings.Repeat("y", size), to); err != nil {
		return fmt.Sprintf("%d bytes: %v", size, err)
	}
	if b, _ := s.receiveBytes(2 * time.Second); len(b) != size {
		return fmt.Sprintf("%d bytes came back, want %d", len(b), size)
	}
	return ""
}

func TestIPv6PathMTUByPing(t *testing.T) {
	lab.Beyond(t, narrow)
	beyond := lab.BeyondAddr6.String()
	g, _ := configured6(t)
	whole := []string{"-6", "-M", "do", "-s", fmt.Sprint(tooLarge), beyond}
	if got, want := pingSays(t, g, whole...), fmt.Sprintf("%s: Packet too big: mtu=%d", lab.InetAddr6, narrow); got != want {
		t.Errorf("the guest sees %q, want %q", got, want)
	}
	out, _ := guestOutput(t, g, "ping", append([]string{"-n", "-c", "1", "-W", "1"}, whole...)...)
	if want := fmt.Sprintf("message too long, mtu: %d", narrow); !strings.Contains(out, want) {
		t.Errorf("the guest's kernel does not know: %s", out)
	}
	largest := fmt.Sprint(narrow - ipv6Header - udpHeader)
	if got := pingSays(t, g, "-6", "-M", "do", "-s", largest, beyond); got != "reply ttl=62" {
		t.Errorf("%d bytes do not pass: %q", narrow, got)
	}
	for _, size := range []string{fmt.Sprint(tooLarge), "9000", "40000"} {
		if got := pingSays(t, g, "-6", "-s", size, beyond); got != "reply ttl=62" {
			t.Errorf("%s bytes in fragments do not pass: %q", size, got)
		}
	}
	g, _ = configured6(t)
	if got, want := pingSays(t, g, whole...), fmt.Sprintf("%s: Packet too big: mtu=%d", gateway6, narrow); got != want {
		t.Errorf("another guest sees %q, want %q", got, want)
	}
}

// TCP finds the MTU of the path by itself, on each side of us: the host's, with
// a server that tells of no smaller segments, by the router's packets too big.
func TestIPv6PathMTUByTCP(t *testing.T) {
	lab.Beyond(t, narrow)
	onHost(t, "ip", "-n", "beyond", "-6", "route", "replace", "default", "via", lab.BeyondRouter6.String(), "advmss", "1440")
	wire := sniff(t, lab.Host, lab.HostLink, nil)
	const size = 8 << 20
	want, err := lab.SHA256(lab.Stream(size))
	if err != nil {
		t.Fatal(err)
	}
	for _, mtu := range []string{"1500", "65520"} {
		g, _ := configured6(t, "--mtu="+mtu)
		c, err := g.Dial("tcp6", netip.AddrPortFrom(lab.BeyondAddr6, lab.EchoPort).String(), commandTimeout)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(30 * time.Second))
		go func() {
			io.Copy(c, lab.Stream(size))
			c.(*net.TCPConn).CloseWrite()
		}()
		if got, err := lab.SHA256(c); got != want || err != nil {
			t.Errorf("MTU %s: what comes back is not what was sent: %v", mtu, err)
		}
	}
	told := eventually(func() bool {
		for _, p := range wire.all6() {
			if p[6] == unix.IPPROTO_ICMPV6 && p[40] == 2 && binary.BigEndian.Uint32(p[44:]) == narrow {
				return true
			}
		}
		return false
	}, false)
	if !told {
		t.Errorf("the host was sent no packet too big: the test is none")
	}
}
