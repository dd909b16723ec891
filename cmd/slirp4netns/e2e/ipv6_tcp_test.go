package e2e

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// pairUp6 connects from the guest to a listener, by the address that the guest
// has for it, and returns both ends.
func pairUp6(t *testing.T, g *lab.Guest, l net.Listener, addr string) (guest, peer *net.TCPConn) {
	t.Helper()
	port := l.Addr().(*net.TCPAddr).Port
	c, err := g.Dial("tcp6", fmt.Sprintf("[%s]:%d", addr, port), commandTimeout)
	if err != nil {
		t.Fatal(err)
	}
	p, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{c, p} {
		c.SetDeadline(time.Now().Add(commandTimeout))
		t.Cleanup(func() { c.Close() })
	}
	return c.(*net.TCPConn), p.(*net.TCPConn)
}

// How connections of IPv6 end: each end, and each half of it, is passed on as
// what it was, both ways.
func TestIPv6TCPEnds(t *testing.T) {
	g, _ := configured6(t)
	for _, c := range []struct {
		ns       namespace
		at, addr string
	}{
		{lab.Host, "::1", gateway6},
		{lab.Inet, lab.InetAddr6.String(), lab.InetAddr6.String()},
	} {
		var l net.Listener
		if err := c.ns.Do(func() (err error) {
			l, err = net.Listen("tcp6", netip.AddrPortFrom(netip.MustParseAddr(c.at), 0).String())
			return err
		}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		for _, way := range []string{"guest", "peer"} {
			t.Run(way+" of "+c.addr, func(t *testing.T) {
				ends := func(t *testing.T) (first, second *net.TCPConn) {
					guest, peer := pairUp6(t, g, l, c.addr)
					if way == "peer" {
						return peer, guest
					}
					return guest, peer
				}
				// The first says all that it has to say, and is answered then.
				first, second := ends(t)
				fmt.Fprint(first, "request")
				first.CloseWrite()
				if b, err := io.ReadAll(second); string(b) != "request" || err != nil {
					t.Errorf("after the half-close the other end has %q, %v", b, err)
				}
				fmt.Fprint(second, "answer")
				second.Close()
				if b, err := io.ReadAll(first); string(b) != "answer" || err != nil {
					t.Errorf("the answer is %q, %v", b, err)
				}
				// The first resets.
				first, second = ends(t)
				fmt.Fprint(first, "last")
				b := make([]byte, 4)
				if _, err := io.ReadFull(second, b); err != nil {
					t.Error(err)
				}
				first.SetLinger(0)
				first.Close()
				if _, err := second.Read(b); errno(err) != unix.ECONNRESET {
					t.Errorf("after the reset the other end has %v, want ECONNRESET", err)
				}
			})
		}
	}
}
