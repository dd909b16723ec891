package e2e

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// guestOf connects a new guest of uid with the given program.
func guestOf(t *testing.T, binary string, uid int, args ...string) (*lab.Guest, *lab.Slirp) {
	t.Helper()
	g := lab.NewGuest(t, lab.GuestOptions{Root: uid == 0})
	target := []string{strconv.Itoa(g.PID), "tap0"}
	s := lab.StartSlirp(t, lab.SlirpOptions{Binary: binary, UID: uid, Args: slices.Concat([]string{"-c"}, args, target)})
	return g, s
}

// onBoth runs a test against our program and against the C program, which is
// there to show the difference.
func onBoth(t *testing.T, args []string, test func(t *testing.T, g *lab.Guest, c bool)) {
	for _, c := range []bool{false, true} {
		name, binary := "ours", ""
		if c {
			name, binary = "C", lab.Reference
		}
		t.Run(name, func(t *testing.T) {
			g, _ := guestOf(t, binary, lab.OrdinaryUID, args...)
			test(t, g, c)
		})
	}
}

// expectation is what the guest sees with ours and with the C program.
type expectation struct{ ours, c string }

// both is an expectation that the two share.
func both(s string) expectation { return expectation{s, s} }

func (e expectation) check(t *testing.T, what, got string, c bool) {
	t.Helper()
	want := e.ours
	if c {
		want = e.c
	}
	if got != want {
		t.Errorf("%s: the guest sees %q, want %q", what, got, want)
	}
}

// udpSocket is a UDP socket with an error queue, in any namespace. Go's net
// package has no error queue.
type udpSocket struct {
	t  *testing.T
	fd int
}

// namespace is a lab.Namespace or a lab.Guest.
type namespace interface{ Do(func() error) error }

func newUDP(t *testing.T, ns namespace) *udpSocket {
	t.Helper()
	s := newUDPOf(t, ns, unix.AF_INET)
	s.set(unix.IPPROTO_IP, unix.IP_RECVERR, 1)
	return s
}

// newUDP6 is newUDP for IPv6.
func newUDP6(t *testing.T, ns namespace) *udpSocket {
	t.Helper()
	s := newUDPOf(t, ns, unix.AF_INET6)
	s.set(unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1)
	return s
}

func newUDPOf(t *testing.T, ns namespace, family int) *udpSocket {
	t.Helper()
	s := &udpSocket{t: t, fd: -1}
	if err := ns.Do(func() (err error) {
		s.fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(s.fd) })
	s.set(unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
	s.set(unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<20)
	return s
}

func (s *udpSocket) set(level, option, value int) {
	s.t.Helper()
	if err := unix.SetsockoptInt(s.fd, level, option, value); err != nil {
		s.t.Fatalf("setsockopt(%d, %d): %v", level, option, err)
	}
}

func sockaddr(addr string) unix.Sockaddr {
	a := netip.MustParseAddrPort(addr)
	if a.Addr().Is6() {
		return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	}
	return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
}

// addrPort reads a socket address, without its zone.
func addrPort(sa unix.Sockaddr) netip.AddrPort {
	if a, ok := sa.(*unix.SockaddrInet6); ok {
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	a := sa.(*unix.SockaddrInet4)
	return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
}

func (s *udpSocket) bind(addr string) {
	s.t.Helper()
	if err := unix.Bind(s.fd, sockaddr(addr)); err != nil {
		s.t.Fatalf("bind to %s: %v", addr, err)
	}
}

func (s *udpSocket) connect(addr string) {
	s.t.Helper()
	if err := unix.Connect(s.fd, sockaddr(addr)); err != nil {
		s.t.Fatalf("connect to %s: %v", addr, err)
	}
}

// name is the address that the socket is bound to.
func (s *udpSocket) name() string {
	sa, err := unix.Getsockname(s.fd)
	if err != nil {
		s.t.Fatal(err)
	}
	return addrPort(sa).String()
}

// send sends to addr; empty: where the socket is connected to.
func (s *udpSocket) send(payload, addr string) error {
	for {
		var err error
		if addr == "" {
			_, err = unix.Write(s.fd, []byte(payload))
		} else {
			err = unix.Sendto(s.fd, []byte(payload), 0, sockaddr(addr))
		}
		if err != unix.EINTR {
			return err
		}
	}
}

// wait reports whether events come in time. The error queue is always POLLERR.
func (s *udpSocket) wait(events int16, timeout time.Duration) bool {
	for end := time.Now().Add(timeout); ; time.Sleep(time.Millisecond) {
		p := []unix.PollFd{{Fd: int32(s.fd), Events: events}}
		n, err := unix.Poll(p, int(max(0, time.Until(end)).Milliseconds()))
		switch {
		case n > 0 && p[0].Revents&events != 0:
			return true
		case err == nil && time.Now().After(end):
			return false
		}
	}
}

// receive returns a datagram as "payload from address", "" if none comes in
// time.
func (s *udpSocket) receive(timeout time.Duration) string {
	b, from := s.receiveBytes(timeout)
	if from == "" {
		return ""
	}
	return string(b) + " from " + from
}

func (s *udpSocket) receiveBytes(timeout time.Duration) (payload []byte, from string) {
	b := make([]byte, 1<<16)
	for end := time.Now().Add(timeout); s.wait(unix.POLLIN, time.Until(end)); {
		n, sa, err := unix.Recvfrom(s.fd, b, unix.MSG_DONTWAIT)
		if err != nil {
			continue // an error about an earlier datagram
		}
		return b[:n], addrPort(sa).String()
	}
	return nil, ""
}

// fault takes an entry off the error queue: the errno that a program meets, the
// ICMP message's type and code, and who sent it. It is "" if none comes.
func (s *udpSocket) fault(timeout time.Duration) string {
	s.t.Helper()
	b, oob := make([]byte, 2048), make([]byte, 512)
	var n int
	for end := time.Now().Add(timeout); ; {
		if !s.wait(unix.POLLERR, time.Until(end)) {
			return ""
		}
		var err error
		if _, n, _, _, err = unix.Recvmsg(s.fd, b, oob, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT); err == nil {
			break
		}
		// The queue's entry was taken before the socket's error was set.
		unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil {
		s.t.Fatal(err)
	}
	for _, m := range messages {
		// struct sock_extended_err and the offender, linux/errqueue.h.
		var offender netip.Addr
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_RECVERR:
			offender = netip.AddrFrom4([4]byte(m.Data[20:24]))
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_RECVERR:
			offender = netip.AddrFrom16([16]byte(m.Data[24:40]))
		default:
			continue
		}
		errno := unix.Errno(binary.NativeEndian.Uint32(m.Data))
		return fmt.Sprintf("%s %d/%d from %s", unix.ErrnoName(errno), m.Data[5], m.Data[6], offender)
	}
	s.t.Fatal("an entry of the error queue without IP_RECVERR")
	return ""
}

// serveUDP answers datagrams in a namespace with what reply returns, if that is
// not empty, until the test ends. It returns the server's address.
func serveUDP(t *testing.T, ns namespace, addr string, reply func(payload string, from netip.AddrPort) string) (*net.UDPConn, string) {
	t.Helper()
	at, network := netip.MustParseAddrPort(addr), "udp"
	if at.Addr().Is4() {
		network = "udp4" // else Go takes 0.0.0.0 for both IP versions
	}
	var c *net.UDPConn
	if err := ns.Do(func() (err error) {
		c, err = net.ListenUDP(network, net.UDPAddrFromAddrPort(at))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 1<<16)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			if r := reply(string(b[:n]), from); r != "" {
				c.WriteToUDPAddrPort([]byte(r), from)
			}
		}
	}()
	return c, c.LocalAddr().String()
}

// whoami tells a client its address.
func whoami(_ string, from netip.AddrPort) string { return from.String() }

// hostCommand runs a command on the lab's host as root.
func hostCommand(t *testing.T, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	if out, err := lab.Command(ctx, 0, name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
}

// hostRoute adds a route on the host until the test ends.
func hostRoute(t *testing.T, route ...string) {
	t.Helper()
	hostCommand(t, "ip", append([]string{"route", "add"}, route...)...)
	t.Cleanup(func() { hostCommand(t, "ip", append([]string{"route", "del"}, route...)...) })
}

// inetAddress gives inet one more address until the test ends.
func inetAddress(t *testing.T, addr string) {
	t.Helper()
	hostCommand(t, "ip", "-n", "inet", "addr", "add", addr, "dev", lab.InetLink)
	t.Cleanup(func() { hostCommand(t, "ip", "-n", "inet", "addr", "del", addr, "dev", lab.InetLink) })
}

// guestOutput runs a command in the guest and returns all that it says; its
// exit status is returned as well, since ping's tells something.
func guestOutput(t *testing.T, g *lab.Guest, name string, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := g.Command(ctx, name, args...)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil || cmd.ProcessState == nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return string(out), cmd.ProcessState.ExitCode()
}
