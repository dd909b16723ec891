package e2e

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// connectedGuest is a guest of an ordinary user behind a slirp4netns.
func connectedGuest(t *testing.T, args ...string) (*lab.Guest, *lab.Slirp) {
	t.Helper()
	g := lab.NewGuest(t, lab.GuestOptions{})
	return g, g.Slirp(t, append([]string{"-c"}, args...)...)
}

// listenInet listens on a free port of inet. Each connection is handled on a
// goroutine of its own and closed afterwards. All is over at the test's end.
func listenInet(t *testing.T, handle func(*net.TCPConn)) netip.AddrPort {
	t.Helper()
	return listenInetOn(t, netip.AddrPortFrom(lab.InetAddr4, 0), handle)
}

func listenInetOn(t *testing.T, at netip.AddrPort, handle func(*net.TCPConn)) netip.AddrPort {
	t.Helper()
	var l *net.TCPListener
	if err := lab.Inet.Do(func() (err error) {
		l, err = net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(at))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			wg.Add(1)
			go func() { defer wg.Done(); defer c.Close(); handle(c) }()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// accepting listens on inet and hands each connection over.
func accepting(t *testing.T) (netip.AddrPort, <-chan *net.TCPConn) {
	t.Helper()
	conns := make(chan *net.TCPConn, 1024)
	release := make(chan struct{})
	addr := listenInet(t, func(c *net.TCPConn) {
		conns <- c
		<-release
	})
	t.Cleanup(func() { close(release) }) // before the listener waits for them
	return addr, conns
}

// pairUp connects from the guest to inet and returns both ends.
func pairUp(t *testing.T, g *lab.Guest) (guest, peer *net.TCPConn) {
	t.Helper()
	addr, conns := accepting(t)
	return mustDial(t, g, addr.String()), <-conns
}

// mustDial connects from the guest.
func mustDial(t *testing.T, g *lab.Guest, addr string) *net.TCPConn {
	t.Helper()
	c, err := g.Dial("tcp4", addr, commandTimeout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// onHost runs a command on the host, as root.
func onHost(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	out, err := lab.Command(ctx, 0, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return string(out)
}

// guestSysctl sets a kernel parameter of the guest's network namespace.
func guestSysctl(t *testing.T, g *lab.Guest, name, value string) {
	t.Helper()
	if err := g.Do(func() error { return writeSysctl(name, value) }); err != nil {
		t.Fatal(err)
	}
}

// hostSysctl sets a kernel parameter of the host's network namespace until the
// test's end.
func hostSysctl(t *testing.T, name, value string) {
	t.Helper()
	old, err := os.ReadFile(sysctlPath(name))
	if err != nil {
		t.Fatal(err)
	}
	if err := writeSysctl(name, value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { writeSysctl(name, string(old)) })
}

func sysctlPath(name string) string { return "/proc/sys/" + strings.ReplaceAll(name, ".", "/") }

func writeSysctl(name, value string) error { return os.WriteFile(sysctlPath(name), []byte(value), 0) }

// addInetAddr gives inet a further address, which the default route leads to,
// until the test's end.
func addInetAddr(t *testing.T, addr string) {
	t.Helper()
	ip := netip.MustParseAddr(addr)
	a, err := netlink.ParseAddr(netip.PrefixFrom(ip, ip.BitLen()).String())
	if err != nil {
		t.Fatal(err)
	}
	if ip.Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	change := func(change func(netlink.Link, *netlink.Addr) error) error {
		return lab.Inet.Do(func() error {
			lo, err := netlink.LinkByName("lo")
			if err != nil {
				return err
			}
			return change(lo, a)
		})
	}
	if err := change(netlink.AddrAdd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { change(netlink.AddrDel) })
}

// segment is a TCP segment that was seen on a link.
type segment struct {
	src, dst netip.AddrPort
	flags    uint8 // tcpFIN, …
	packet   []byte
}

const (
	tcpFIN = 1 << iota
	tcpSYN
	tcpRST
	tcpPSH
	tcpACK
)

func (s segment) String() string {
	return fmt.Sprintf("%v → %v, flags %#x", s.src, s.dst, s.flags)
}

// sniffer collects the IPv4 packets of a link.
type sniffer struct {
	mu       sync.Mutex
	packets  [][]byte // guarded by mu
	packets6 [][]byte // guarded by mu; those of IPv6, which seen is not told of
}

// sniffed is how many bytes of a packet are collected.
const sniffed = 200

// sniff starts to collect what a link of a namespace carries, both ways, until
// the test's end; see packet(7). An empty name is all of its links. seen is called for each
// packet and may be nil.
func sniff(t *testing.T, ns interface{ Do(func() error) error }, link string, seen func([]byte)) *sniffer {
	t.Helper()
	fd := -1
	err := ns.Do(func() (err error) {
		index := 0
		if link != "" {
			ifi, err := net.InterfaceByName(link)
			if err != nil {
				return err
			}
			index = ifi.Index
		}
		const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL<<8&0xff00 // network byte order
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		// Only headers, in a large buffer, so that none is missed.
		cut := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: sniffed}}
		if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &cut[0]}); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 64<<20); err != nil {
			return err
		}
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20) // root may
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index})
	})
	if err != nil {
		t.Fatal(err)
	}
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000})
	s := &sniffer{}
	stop, stopped := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(stop); <-stopped; unix.Close(fd) })
	go func() {
		defer close(stopped)
		buf := make([]byte, sniffed)
		for {
			select {
			case <-stop:
				return
			default:
			}
			n, _, err := unix.Recvfrom(fd, buf, 0)
			if err != nil || n < 20 || buf[0]>>4 != 4 && buf[0]>>4 != 6 {
				continue
			}
			p := append([]byte(nil), buf[:n]...)
			s.mu.Lock()
			if p[0]>>4 == 6 {
				s.packets6 = append(s.packets6, p)
				s.mu.Unlock()
				continue
			}
			s.packets = append(s.packets, p)
			s.mu.Unlock()
			if seen != nil {
				seen(p)
			}
		}
	}()
	return s
}

// segments are the TCP segments from src.
func (s *sniffer) segments(from netip.Addr) []segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []segment
	for _, p := range s.packets {
		if seg, ok := parseSegment(p); ok && seg.src.Addr() == from {
			out = append(out, seg)
		}
	}
	return out
}

func parseSegment(p []byte) (segment, bool) {
	h := int(p[0]&15) * 4
	if p[9] != unix.IPPROTO_TCP || len(p) < h+20 {
		return segment{}, false
	}
	addr := func(ip, port int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(p[ip:ip+4])), binary.BigEndian.Uint16(p[port:]))
	}
	return segment{src: addr(12, h), dst: addr(16, h+2), flags: p[h+13], packet: p}, true
}

// tcpState is a socket's state (TCP_INFO, tcp(7)).
func tcpState(c *net.TCPConn) (state uint8, err error) {
	rc, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var info *unix.TCPInfo
	rc.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	if err != nil {
		return 0, err
	}
	return info.State, nil
}

// stateClose is TCP_CLOSE of linux/tcp_states.h: no connection any more.
const stateClose = 7

// awaitReset expects that the connection of c ends within the time, without
// anybody reading from it.
func awaitReset(t *testing.T, c *net.TCPConn, within time.Duration) {
	t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(20 * time.Millisecond) {
		state, err := tcpState(c)
		if err != nil {
			t.Fatal(err)
		}
		if state == stateClose {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the connection is in state %d after %v, want a reset", state, within)
		}
	}
}

// errno is the system call error in err.
func errno(err error) syscall.Errno {
	for err != nil {
		if e, ok := err.(syscall.Errno); ok {
			return e
		}
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return 0
		}
		err = u.Unwrap()
	}
	return 0
}

// readAll reads to the end, for at most 5 s.
func readAll(c net.Conn) (string, error) {
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	b, err := io.ReadAll(c)
	return string(b), err
}
