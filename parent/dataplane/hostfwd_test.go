package dataplane

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"

	"github.com/slirp4netns-go/slirp4netns/parent/hostfwd"
)

// forward puts a rule from a free port of host to port of the guest into force
// and returns its ID and where it listens.
func (g *guest) forward(network, host string, port uint16) (int, netip.AddrPort) {
	g.t.Helper()
	e, err := g.plane.fwd.Add(hostfwd.Rule{
		Network: network,
		Host:    netip.AddrPortFrom(netip.MustParseAddr(host), 0),
		Guest:   netip.AddrPortFrom(guestAddr, port),
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return e.ID, e.Host
}

// listen accepts connections in the guest.
func (g *guest) listen(port uint16, handle func(net.Conn)) {
	g.t.Helper()
	l, err := gonet.ListenTCP(g.stack, fullAddress(netip.AddrPortFrom(guestAddr, port)), ipv4.ProtocolNumber)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); handle(c) }()
		}
	}()
}

// tellPeer says who the client is.
func tellPeer(c net.Conn) { fmt.Fprint(c, c.RemoteAddr()) }

func TestForwardSource(t *testing.T) {
	g := newGuest(t, nil)
	g.listen(80, tellPeer)
	for host, from := range map[string]string{
		"127.0.0.1": "127.0.0.1", "127.0.0.9": "127.1.2.3", "::1": "::1", "::": "127.0.0.1",
	} {
		network := "tcp"
		_, at := g.forward(network, host, 80)
		to := at
		if host == "::" {
			to = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), at.Port())
		}
		d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0)), Timeout: 5 * time.Second}
		c, err := d.Dial("tcp", to.String())
		if err != nil {
			t.Fatalf("%s: %v", host, err)
		}
		b, err := io.ReadAll(c)
		port := c.LocalAddr().(*net.TCPAddr).Port
		if want := netip.AddrPortFrom(gateway, uint16(port)).String(); err != nil || string(b) != want {
			t.Errorf("a client at %s is seen as %q (%v), want %s", from, b, err, want)
		}
		c.Close()
	}
}

// One client port that is connected to two ports of the host keeps its number
// in the guest, unless both lead to the same port there.
func TestForwardClash(t *testing.T) {
	g := newGuest(t, nil)
	g.listen(80, func(c net.Conn) { tellPeer(c); io.Copy(io.Discard, c) })
	g.listen(81, func(c net.Conn) { tellPeer(c); io.Copy(io.Discard, c) })
	var peers []string
	// An address of the test's own: another test may have just this port of
	// 127.0.0.1 by the time of the second connection.
	local := &net.TCPAddr{IP: net.IPv4(127, 77, 0, 1)}
	for _, port := range []uint16{80, 81, 80} {
		_, at := g.forward("tcp", "127.0.0.1", port)
		d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: local, Control: func(_, _ string, rc syscall.RawConn) error {
			return rc.Control(func(fd uintptr) { syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1) })
		}}
		c, err := d.Dial("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		local = c.LocalAddr().(*net.TCPAddr)
		b := make([]byte, 64)
		n, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		peers = append(peers, string(b[:n]))
	}
	want := netip.AddrPortFrom(gateway, uint16(local.Port)).String()
	if peers[0] != want || peers[1] != want || peers[2] == want {
		t.Errorf("seen as %v, want %s twice and then another port", peers, want)
	}
}

func TestForwardBulk(t *testing.T) {
	g := newGuest(t, nil)
	g.listen(7, func(c net.Conn) { io.Copy(c, c) })
	_, at := g.forward("tcp", "127.0.0.1", 7)
	data := make([]byte, 8<<20)
	rand.New(rand.NewSource(2)).Read(data)
	c, err := net.DialTimeout("tcp", at.String(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		c.Write(data)
		c.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes came back, %v; want the %d that were sent", len(got), err, len(data))
	}
}

// A guest that refuses is a reset for the client, not an end of file.
func TestForwardRefused(t *testing.T) {
	g := newGuest(t, nil)
	_, at := g.forward("tcp", "127.0.0.1", 9999)
	c, err := net.DialTimeout("tcp", at.String(), 5*time.Second)
	if err == nil {
		defer c.Close()
		c.SetDeadline(time.Now().Add(5 * time.Second))
		_, err = c.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: %v, want a reset", err)
	}
	settled(t, "no connection is left", func() bool { return g.plane.fwd.Stats().TCP.Open == 0 })
}

func TestForwardReset(t *testing.T) {
	g := newGuest(t, nil)
	got := make(chan error, 1)
	g.listen(80, func(c net.Conn) {
		c.Write([]byte("x"))
		_, err := c.Read(make([]byte, 1))
		got <- err
	})
	_, at := g.forward("tcp", "127.0.0.1", 80)
	c, err := net.DialTimeout("tcp", at.String(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	c.Read(make([]byte, 1))
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
	if err := <-got; err == nil || err == io.EOF {
		t.Errorf("the guest reads %v, want a reset", err)
	}
}

func TestForwardHalfClose(t *testing.T) {
	g := newGuest(t, nil)
	g.listen(80, func(c net.Conn) {
		b, _ := io.ReadAll(c)
		time.Sleep(50 * time.Millisecond)
		c.Write(append([]byte("got "), b...))
	})
	_, at := g.forward("tcp", "127.0.0.1", 80)
	c, err := net.DialTimeout("tcp", at.String(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("request"))
	c.(*net.TCPConn).CloseWrite()
	if b, err := io.ReadAll(c); string(b) != "got request" || err != nil {
		t.Errorf("read %q, %v; want %q", b, err, "got request")
	}
}

// Removing a rule frees its port; what is established goes on, or not.
func TestForwardRemove(t *testing.T) {
	g := newGuest(t, nil)
	g.listen(7, func(c net.Conn) { io.Copy(c, c) })
	for _, cut := range []bool{false, true} {
		id, at := g.forward("tcp", "127.0.0.1", 7)
		c, err := net.DialTimeout("tcp", at.String(), 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		b := make([]byte, 1)
		c.Write(b)
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
		if err := g.plane.fwd.Remove(id, cut); err != nil {
			t.Fatal(err)
		}
		if _, err := net.DialTimeout("tcp", at.String(), time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("connect to a removed forward: %v, want refused", err)
		}
		c.SetDeadline(time.Now().Add(5 * time.Second))
		if !cut {
			c.Write(b) // else it would take the error that Read shall see
		}
		_, err = io.ReadFull(c, b)
		if cut != errors.Is(err, syscall.ECONNRESET) || !cut && err != nil {
			t.Errorf("cut=%v: an established connection reads %v", cut, err)
		}
		if err := g.plane.fwd.Remove(id, cut); !errors.Is(err, hostfwd.ErrUnknown) {
			t.Errorf("removed twice: %v, want %v", err, hostfwd.ErrUnknown)
		}
	}
}

// Clients who have just connected, and whom nobody has accepted yet, are not lost
// when the forward is removed.
func TestForwardRemoveAtOnce(t *testing.T) {
	g := newGuest(t, nil)
	g.listen(7, func(c net.Conn) { io.Copy(c, c) })
	for range 20 {
		id, at := g.forward("tcp", "127.0.0.1", 7)
		var clients []net.Conn
		for range 50 {
			c, err := net.Dial("tcp", at.String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			clients = append(clients, c)
		}
		if err := g.plane.fwd.Remove(id, false); err != nil {
			t.Fatal(err)
		}
		for i, c := range clients {
			c.SetDeadline(time.Now().Add(10 * time.Second))
			fmt.Fprint(c, "hello")
			if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
				t.Fatalf("client %d: %v", i, err)
			}
		}
	}
}

func TestForwardMany(t *testing.T) {
	g := newGuest(t, nil)
	g.listen(7, func(c net.Conn) { io.Copy(c, c) })
	_, at := g.forward("tcp", "127.0.0.1", 7)
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 50 {
				c, err := net.DialTimeout("tcp", at.String(), 5*time.Second)
				if err != nil {
					t.Error(err)
					return
				}
				c.SetDeadline(time.Now().Add(5 * time.Second))
				c.Write([]byte("ping"))
				b := make([]byte, 4)
				if _, err := io.ReadFull(c, b); err != nil {
					t.Error(err)
				}
				c.Close()
			}
		}()
	}
	wg.Wait()
	settled(t, "no connection is left", func() bool { return g.plane.fwd.Stats().TCP.Open == 0 })
}

func TestForwardUDP(t *testing.T) {
	for _, disable := range []bool{false, true} {
		g := newGuest(t, func(c *Config) { c.DisableHostLoopback = disable })
		a := fullAddress(netip.AddrPortFrom(guestAddr, 53))
		server, err := gonet.DialUDP(g.stack, &a, nil, ipv4.ProtocolNumber)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { server.Close() })
		go func() {
			b := make([]byte, 65536)
			for {
				n, from, err := server.ReadFrom(b)
				if err != nil {
					return
				}
				server.WriteTo(append([]byte(from.String()+" "), b[:n]...), from)
			}
		}()
		for _, host := range []string{"127.0.0.1", "127.0.0.2", "::1"} {
			id, at := g.forward("udp", host, 53)
			// A connected socket: the answer must come from where it was asked.
			c, err := net.Dial("udp", at.String())
			if err != nil {
				t.Fatal(err)
			}
			seen := netip.AddrPortFrom(gateway, uint16(c.LocalAddr().(*net.UDPAddr).Port)).String()
			for _, size := range []int{0, 1, 1400, 9000} {
				want := append([]byte(seen+" "), make([]byte, size)...)
				c.Write(make([]byte, size))
				c.SetReadDeadline(time.Now().Add(5 * time.Second))
				b := make([]byte, 65536)
				n, err := c.Read(b)
				if err != nil || !bytes.Equal(b[:n], want) {
					t.Errorf("%s, %d bytes: %d bytes came back, %v; want %d", host, size, n, err, len(want))
				}
			}
			if n := g.plane.fwd.Stats().UDP.Open; n != 1 {
				t.Errorf("%d sessions, want 1", n)
			}
			c.Close()
			if err := g.plane.fwd.Remove(id, false); err != nil {
				t.Fatal(err)
			}
			if n := g.plane.fwd.Stats().UDP.Open; n != 0 {
				t.Errorf("%d sessions are left of a removed forward", n)
			}
		}
	}
}
