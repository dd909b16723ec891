package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// The relay is one: messages pass as they are.

// rawDNS is a resolver that knows nothing of DNS but the ID. It remembers
// queries and where they came from.
type rawDNS struct {
	mu      sync.Mutex
	queries [][]byte         // guarded by mu
	from    []netip.AddrPort // guarded by mu
}

// serveRawDNS answers each query, at an address of a namespace, with what
// answer makes of it; nil is none.
func serveRawDNS(t *testing.T, ns namespace, at string, answer func(query []byte, tcp bool) []byte) *rawDNS {
	t.Helper()
	var pc net.PacketConn
	var l net.Listener
	if err := ns.Do(func() (err error) {
		if pc, err = net.ListenPacket("udp", at); err != nil {
			return err
		}
		l, err = net.Listen("tcp", at)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close(); l.Close() })
	s := new(rawDNS)
	go func() {
		b := make([]byte, 1<<16)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			s.note(b[:n], from.(*net.UDPAddr).AddrPort())
			if a := answer(b[:n], false); a != nil {
				pc.WriteTo(a, from)
			}
		}
	}()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for {
					query, err := readFramed(c)
					if err != nil {
						return
					}
					s.note(query, c.RemoteAddr().(*net.TCPAddr).AddrPort())
					c.Write(framed(answer(query, true)))
				}
			}()
		}
	}()
	return s
}

func (s *rawDNS) note(query []byte, from netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queries = append(s.queries, bytes.Clone(query))
	s.from = append(s.from, from)
}

// all are the queries so far, and their sources.
func (s *rawDNS) all() ([][]byte, []netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.queries), slices.Clone(s.from)
}

// framed is a message over TCP, readFramed reads one (RFC 1035, section 4.2.2).
func framed(msg []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
}

func readFramed(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, b)
	return b, err
}

// askRaw sends a query from a new port of the guest, and returns the answer.
func askRaw(t *testing.T, g *lab.Guest, network, at string, query []byte) []byte {
	t.Helper()
	c, err := g.Dial(network, at, commandTimeout)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(commandTimeout))
	if strings.HasPrefix(network, "tcp") {
		c.Write(framed(query))
		b, err := readFramed(c)
		if err != nil {
			t.Errorf("%s at %s: %v", network, at, err)
		}
		return b
	}
	c.Write(query)
	b := make([]byte, 1<<16)
	n, err := c.Read(b)
	if err != nil {
		t.Errorf("%s at %s: %v", network, at, err)
	}
	return b[:n]
}

// oddQuery is a query with all that a relay might touch: a name in mixed case,
// flags, EDNS with a cookie and padding (RFC 7873, RFC 7830), and bytes after
// its end.
func oddQuery(id uint16) []byte {
	q := binary.BigEndian.AppendUint16(nil, id)
	q = append(q, 0x01, 0x30, 0, 1, 0, 0, 0, 0, 0, 1) // RD, AD, CD
	q = append(q, "\x03wWw\x03LaB\x04tEsT\x00"...)
	q = append(q, 0xff, 0x01, 0, 1) // a type that nobody knows, IN
	q = append(q, 0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 28)
	q = append(q, "\x00\x0a\x00\x10cookiesandbakery\x00\x0c\x00\x04\x00\x00\x00\x00"...)
	return append(q, "tail"...)
}

// Queries reach the resolver and answers the guest byte by byte: whatever is in
// them, and of any size.
func TestDNSUnchanged(t *testing.T) {
	answers := map[bool][]byte{false: make([]byte, 8000), true: make([]byte, 65535)}
	for _, a := range answers {
		r := rand.NewChaCha8([32]byte{7})
		r.Read(a)
		a[2], a[3] = 0x80|0x7f, 0xf9 // an answer, with all flags, of a code that is rare
	}
	resolver := serveRawDNS(t, lab.Host, "127.0.0.1:5399", func(query []byte, tcp bool) []byte {
		a := bytes.Clone(answers[tcp])
		copy(a, query[:2])
		return a
	})
	g := lab.NewGuest(t, lab.GuestOptions{})
	g.Slirp(t, "-c", "-6", "--dns=127.0.0.1:5399")
	for i, c := range []struct{ network, at string }{
		{"udp4", relay}, {"tcp4", relay}, {"udp6", relay6}, {"tcp6", relay6},
	} {
		query := oddQuery(uint16(0xbe00 + i))
		want := bytes.Clone(answers[strings.HasPrefix(c.network, "tcp")])
		copy(want, query[:2])
		if got := askRaw(t, g, c.network, c.at, query); !bytes.Equal(got, want) {
			t.Errorf("%s: the answer of %d bytes came as another one of %d", c.network, len(want), len(got))
		}
		if queries, _ := resolver.all(); len(queries) != i+1 || !bytes.Equal(queries[i], query) {
			t.Errorf("%s: the resolver has %x of %d queries, want %x", c.network, queries[len(queries)-1], len(queries), query)
		}
	}
}

// Nothing is kept: the same question is asked as often as the guest asks it.
// Each port of the guest has one of the host, which nobody can foresee, and
// answers from elsewhere do not reach the guest.
func TestDNSPorts(t *testing.T) {
	const queries = 200
	inet := netip.AddrPortFrom(lab.InetAddr4, 5399).String()
	resolver := serveRawDNS(t, lab.Inet, inet, func(query []byte, _ bool) []byte {
		return append([]byte{query[0], query[1], 0x80, 0}, query[4:]...)
	})
	g := lab.NewGuest(t, lab.GuestOptions{})
	g.Slirp(t, "-c", "--dns="+inet)
	for range queries {
		askRaw(t, g, "udp4", relay, oddQuery(1))
	}
	seen, from := resolver.all()
	if len(seen) != queries {
		t.Fatalf("%d queries have become %d", queries, len(seen))
	}
	ports := make(map[uint16]bool)
	steps := make(map[int]int)
	for i, a := range from {
		ports[a.Port()] = true
		if i > 0 {
			steps[int(a.Port())-int(from[i-1].Port())]++
		}
	}
	// Of 28232 ports at random two or so are the same, and hardly any
	// distance comes more than twice.
	if len(ports) < queries*9/10 {
		t.Errorf("%d queries came from %d ports", queries, len(ports))
	}
	for step, n := range steps {
		if n > queries/20 {
			t.Errorf("%d times the next port was %+d", n, step)
		}
	}
}

// An answer is taken from the resolver alone: who guesses port and ID, but
// sends from another address or port, is not heard.
func TestDNSForgery(t *testing.T) {
	at := netip.AddrPortFrom(lab.InetAddr4, 5399)
	forged := func(query []byte) []byte { return append([]byte{query[0], query[1], 0x80, 0}, "forged"...) }
	inetAddress(t, "198.51.100.3/24")
	var forgers []net.PacketConn
	for _, a := range []string{"198.51.100.2:5398", "198.51.100.3:5399"} {
		if err := lab.Inet.Do(func() error {
			c, err := net.ListenPacket("udp4", a)
			forgers = append(forgers, c)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { forgers[0].Close(); forgers[1].Close() })
	}
	resolver := serveRawDNS(t, lab.Inet, at.String(), func([]byte, bool) []byte { return nil })
	g := lab.NewGuest(t, lab.GuestOptions{})
	g.Slirp(t, "-c", "--dns="+at.String())
	c, err := g.Dial("udp4", relay, commandTimeout)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	query := oddQuery(77)
	c.Write(query)
	if !eventually(func() bool { seen, _ := resolver.all(); return len(seen) == 1 }, false) {
		t.Fatal("no query")
	}
	_, from := resolver.all()
	for _, f := range forgers {
		f.WriteTo(forged(query), net.UDPAddrFromAddrPort(from[0]))
	}
	c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	b := make([]byte, 512)
	if n, err := c.Read(b); err == nil {
		t.Errorf("the guest has %q", b[:n])
	}
}

// All nameserver lines count, not three as for the C library, and a link-local
// one with its interface.
func TestDNSNameservers(t *testing.T) {
	t.Run("five", func(t *testing.T) {
		hostDNS(t, "127.0.0.105:53", "192.0.2.105")
		hostEtc(t, "127.0.0.101", "127.0.0.102", "127.0.0.103", "127.0.0.104", "127.0.0.105")
		wantFrom(t, "192.0.2.105", "-c")
	})
	t.Run("IPv6 loopback in place of none", func(t *testing.T) {
		hostEtc(t)
		hostDNS(t, "[::1]:53", "192.0.2.106")
		wantFrom(t, "192.0.2.106", "-c")
	})
	underLocks(t, func(t *testing.T, args []string) { // a link-local one
		const server = "fe80::53"
		onHost(t, "ip", "-n", "inet", "addr", "add", server+"/64", "dev", lab.InetLink, "nodad")
		t.Cleanup(func() { onHost(t, "ip", "-n", "inet", "addr", "del", server+"/64", "dev", lab.InetLink) })
		serveScoped(t, server)
		hostEtc(t, server+"%"+lab.HostLink)
		wantFrom(t, "192.0.2.107", append([]string{"-c"}, args...)...)
	})
}

// wantFrom expects answers with an address, by UDP and TCP.
func wantFrom(t *testing.T, addr string, args ...string) {
	t.Helper()
	g := lab.NewGuest(t, lab.GuestOptions{})
	g.Slirp(t, args...)
	for _, network := range []string{"udp4", "tcp4"} {
		if got, took, err := queryA(g, network, "any.test", 5*time.Second); err != nil || got != addr {
			t.Errorf("%s: %s after %v, %v, want %s", network, got, took, err, addr)
		}
	}
}

// serveScoped is a resolver at a link-local address of inet, which answers with
// 192.0.2.107.
func serveScoped(t *testing.T, addr string) {
	t.Helper()
	serveRawDNS(t, lab.Inet, fmt.Sprintf("[%s%%%s]:53", addr, lab.InetLink), func(query []byte, _ bool) []byte {
		a := append([]byte{query[0], query[1], 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0}, query[12:]...)
		return append(a, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 192, 0, 2, 107)
	})
}

// --host-name is for IPv6 as well.
func TestDNSOptionsOfIPv6(t *testing.T) {
	const at = "fd5b:1:2:3::3"
	g, _ := configured6(t, "--cidr6=fd5b:1:2:3::/64", "--host-name=host.internal")
	for _, c := range []struct{ query, want string }{
		{"host.internal AAAA", "fd5b:1:2:3::2\n"},
		{"host.internal A", "10.0.2.2\n"},
		{"+tcp host.internal AAAA", "fd5b:1:2:3::2\n"},
	} {
		for _, server := range []string{at, "10.0.2.3"} {
			if got := dig(t, g, server, append([]string{"+short"}, strings.Fields(c.query)...)...); got != c.want {
				t.Errorf("dig @%s %s: %q, want %q", server, c.query, got, c.want)
			}
		}
	}
	g.Nameserver(t, "10.0.2.3")
	if got := curl(t, g, "-6", "http://host.internal:8000/"); got != lab.HostPage {
		t.Errorf("page by IPv6: %q", got)
	}
}
