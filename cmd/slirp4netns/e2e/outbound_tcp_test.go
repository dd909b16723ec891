package e2e

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// Addresses of documentation (RFC 5737, TEST-NET-3), which the host routes to
// inet. Nobody answers there unless a test sees to it.
const (
	silentAddr = "203.0.113.1"
	lateAddr   = "203.0.113.9"
	quickAddr  = "203.0.113.10"
	codeAddr   = 100 // 203.0.113.100 and up: one for each ICMP error
)

// A closed port is refused at once. So it is by C.
func TestTCPRefused(t *testing.T) {
	g, _ := connectedGuest(t)
	for _, addr := range []string{"10.0.2.2", "198.51.100.2"} {
		ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
		defer cancel()
		start := time.Now()
		out, err := g.Command(ctx, "nc", "-v", "-w", "10", addr, "4444").CombinedOutput()
		if _, ok := err.(*exec.ExitError); !ok || !strings.Contains(string(out), "Connection refused") {
			t.Errorf("nc %s: %v: %s", addr, err, out)
		}
		if d := time.Since(start); d > time.Second {
			t.Errorf("nc %s: refused after %v", addr, d)
		}
	}
}

// A closed port among those that the host draws for itself is refused, whatever
// address of the host it is asked at: a socket that drew it too would meet
// itself, and the guest an echo. So it does in C.
func TestTCPRefusedByItself(t *testing.T) {
	g, _ := configured6(t)
	hostSysctl(t, "net.ipv4.ip_local_port_range", "40000 40003")
	for _, addr := range []string{"10.0.2.2", gateway6, lab.HostAddr4.String(), lab.HostAddr6.String()} {
		for i := range 40 { // one in two to four draws it
			c, err := g.Dial("tcp", net.JoinHostPort(addr, "40000"), commandTimeout)
			if err == nil {
				c.Close()
				t.Errorf("%s, try %d: connected to a closed port", addr, i)
				break
			}
			if errno(err) != unix.ECONNREFUSED {
				t.Errorf("%s, try %d: %v, want ECONNREFUSED", addr, i, err)
				break
			}
		}
	}
}

// What the host's own routing table forbids, the guest meets as the host would
// have. C says ENETUNREACH for "prohibit".
func TestTCPNoRoute(t *testing.T) {
	g, _ := connectedGuest(t)
	for _, c := range []struct {
		kind, prefix, addr string
		want               syscall.Errno
		code               uint8 // of the ICMP message
	}{
		{"unreachable", "192.0.2.16/28", "192.0.2.17", unix.EHOSTUNREACH, 1},
		{"prohibit", "192.0.2.32/28", "192.0.2.33", unix.EHOSTUNREACH, 13},
		{"throw", "192.0.2.48/28", "192.0.2.49", unix.ENETUNREACH, 0},
	} {
		onHost(t, "ip", "route", "add", c.kind, c.prefix)
		t.Cleanup(func() { onHost(t, "ip", "route", "del", c.kind, c.prefix) })
		wire := sniff(t, g, "tap0", nil)
		start := time.Now()
		_, err := g.Dial("tcp4", c.addr+":80", 10*time.Second)
		if errno(err) != c.want || time.Since(start) > time.Second {
			t.Errorf("%s: %v after %v, want %v at once", c.kind, err, time.Since(start), c.want)
		}
		var code uint8
		if !eventually(func() (ok bool) { code, ok = wire.unreachable(c.addr); return ok }, false) || code != c.code {
			t.Errorf("%s: ICMP code %d, want %d", c.kind, code, c.code)
		}
	}
}

// unreachable finds the code of a destination-unreachable message about a
// packet to dst.
func (s *sniffer) unreachable(dst string) (code uint8, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.packets {
		if p[9] == unix.IPPROTO_ICMP && len(p) >= 48 && p[20] == 3 &&
			netip.AddrFrom4([4]byte(p[44:48])).String() == dst {
			return p[21], true
		}
	}
	return 0, false
}

// Nobody answers ARP for an address of the host's own link: connect(2) fails
// there about 3 s later. C sends a bare FIN then, which the guest ignores: it
// hangs.
func TestTCPDeadNeighbour(t *testing.T) {
	t.Parallel()
	g, _ := connectedGuest(t)
	start := time.Now()
	_, err := g.Dial("tcp4", "198.51.100.77:80", 12*time.Second)
	if errno(err) != unix.EHOSTUNREACH {
		t.Errorf("%v after %v, want EHOSTUNREACH", err, time.Since(start))
	}
}

// An ICMP error from the network becomes what the host itself would have seen.
// C hangs on those that are not ECONNREFUSED.
func TestTCPICMPErrors(t *testing.T) {
	g, _ := connectedGuest(t)
	answerWithICMP(t)
	wire := sniff(t, g, "tap0", nil)
	for _, e := range icmpErrors {
		addr := fmt.Sprintf("203.0.113.%d:80", e.last)
		_, err := net.DialTimeout("tcp4", addr, 5*time.Second)
		want := errno(err)
		if want == 0 {
			t.Fatalf("%s: the host itself sees %v", e.name, err)
		}
		start := time.Now()
		_, err = g.Dial("tcp4", addr, 5*time.Second)
		if errno(err) != want || time.Since(start) > 500*time.Millisecond {
			t.Errorf("%s: the guest sees %v after %v, the host %v", e.name, err, time.Since(start), want)
		}
		// It is the message itself, from who sent it.
		message := fmt.Sprintf("%d/%d from %s", e.typ, e.code, lab.InetAddr4)
		var got string
		if !eventually(func() bool { got = wire.icmpAbout(fmt.Sprintf("203.0.113.%d", e.last)); return got == message }, false) {
			t.Errorf("%s: the guest was sent %q, want %q", e.name, got, message)
		}
	}
}

// icmpAbout is the ICMP message about a packet to dst.
func (s *sniffer) icmpAbout(dst string) string {
	a := netip.MustParseAddr(dst).As4()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.packets {
		if p[9] == unix.IPPROTO_ICMP && len(p) >= 48 && [4]byte(p[44:48]) == a {
			return fmt.Sprintf("%d/%d from %s", p[20], p[21], netip.AddrFrom4([4]byte(p[12:16])))
		}
	}
	return ""
}

// icmpErrors are sent about a SYN to 203.0.113.last.
var icmpErrors = []struct {
	name      string
	last      uint8
	typ, code uint8
}{
	{"net unreachable", codeAddr + 0, 3, 0},
	{"host unreachable", codeAddr + 1, 3, 1},
	{"protocol unreachable", codeAddr + 2, 3, 2},
	{"port unreachable", codeAddr + 3, 3, 3},
	{"net prohibited", codeAddr + 9, 3, 9},
	{"host prohibited", codeAddr + 10, 3, 10},
	{"administratively prohibited", codeAddr + 13, 3, 13},
	{"TTL exceeded", codeAddr + 20, 11, 0},
}

// answerWithICMP makes inet the router that sends icmpErrors.
func answerWithICMP(t *testing.T) {
	t.Helper()
	var pc net.PacketConn
	if err := lab.Inet.Do(func() (err error) {
		pc, err = net.ListenPacket("ip4:icmp", lab.InetAddr4.String())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	sniff(t, lab.Inet, lab.InetLink, func(p []byte) {
		for _, e := range icmpErrors {
			if netip.AddrFrom4([4]byte(p[16:20])) != netip.AddrFrom4([4]byte{203, 0, 113, e.last}) {
				continue
			}
			m := append([]byte{e.typ, e.code, 0, 0, 0, 0, 0, 0}, p[:min(len(p), 60)]...)
			var sum uint32
			for i := 0; i < len(m); i += 2 {
				sum += uint32(m[i]) << 8
				if i+1 < len(m) {
					sum += uint32(m[i+1])
				}
			}
			sum = sum>>16 + sum&0xffff
			sum += sum >> 16
			m[2], m[3] = ^byte(sum>>8), ^byte(sum)
			pc.WriteTo(m, &net.IPAddr{IP: lab.HostAddr4.AsSlice()})
		}
	})
	t.Cleanup(func() { pc.Close() })
}

// When nobody answers, neither do we: the guest's own timers decide. C sends a
// FIN when the host gives up, or a RST after 75 s.
func TestTCPSilence(t *testing.T) {
	g, _ := connectedGuest(t)
	// Both give up after 1 + 2 s.
	hostSysctl(t, "net.ipv4.tcp_syn_retries", "1")
	guestSysctl(t, g, "net.ipv4.tcp_syn_retries", "1")
	wire := sniff(t, g, "tap0", nil)
	_, err := g.Dial("tcp4", silentAddr+":80", 10*time.Second)
	if errno(err) != unix.ETIMEDOUT {
		t.Errorf("%v, want ETIMEDOUT", err)
	}
	time.Sleep(1500 * time.Millisecond)
	for _, s := range wire.segments(netip.MustParseAddr(silentAddr)) {
		t.Errorf("sent to the guest: %v", s)
	}
	if code, ok := wire.unreachable(silentAddr); ok {
		t.Errorf("sent to the guest: ICMP unreachable, code %d", code)
	}
}

// The guest's retransmissions of a SYN do not open further connections. So it
// is in C.
func TestTCPRetransmittedSYN(t *testing.T) {
	g, _ := connectedGuest(t)
	done := make(chan error, 1)
	go func() {
		c, err := g.Dial("tcp4", lateAddr+":4000", 10*time.Second)
		if err == nil {
			_, err = c.Write([]byte("x"))
			defer c.Close()
			time.Sleep(time.Second)
		}
		done <- err
	}()
	time.Sleep(2500 * time.Millisecond) // the SYN was sent twice
	var accepted atomic.Int32
	addInetAddr(t, lateAddr)
	listenInetOn(t, netip.MustParseAddrPort(lateAddr+":4000"), func(c *net.TCPConn) {
		accepted.Add(1)
		c.Read(make([]byte, 1))
	})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := accepted.Load(); n != 1 {
		t.Errorf("%d connections for one connect(2)", n)
	}
}

// A server that sends and closes at once: the end of the stream may be there
// before we know of the connection.
func TestTCPEndBeforeConnected(t *testing.T) {
	g, s := connectedGuest(t)
	conn := make(chan net.Conn, 1)
	go func() {
		defer close(conn)
		if c, err := g.Dial("tcp4", quickAddr+":4000", 10*time.Second); err == nil {
			conn <- c
		}
	}()
	time.Sleep(300 * time.Millisecond) // connect(2) is under way
	if err := s.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer s.Process.Signal(unix.SIGCONT)
	closed := make(chan struct{})
	var once sync.Once
	addInetAddr(t, quickAddr)
	listenInetOn(t, netip.MustParseAddrPort(quickAddr+":4000"), func(c *net.TCPConn) {
		c.Write([]byte("bye"))
		c.CloseWrite()
		once.Do(func() { close(closed) })
		c.Read(make([]byte, 1))
	})
	select {
	case <-closed:
	case <-time.After(8 * time.Second):
		t.Fatal("the host's kernel did not connect")
	}
	time.Sleep(100 * time.Millisecond)
	s.Process.Signal(unix.SIGCONT)
	c := <-conn
	if c == nil {
		t.Fatal("the guest did not connect")
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(3 * time.Second))
	if got, err := readAll(c); got != "bye" || err != nil {
		t.Errorf("the guest read %q, %v, want %q and the end", got, err, "bye")
	}
}

// Thousands of connections that nobody answers do not delay one that works. So
// it is in C, if it may have that many descriptors.
func TestTCPBlackHolesDelayNobody(t *testing.T) {
	g, _ := connectedGuest(t)
	addr := listenInet(t, func(c *net.TCPConn) { c.Write([]byte("ok")) })
	var fds []int
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	const holes = 5000
	if err := g.Do(func() error {
		for i := range holes {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			fds = append(fds, fd)
			sa := &unix.SockaddrInet4{Port: 1000 + i, Addr: netip.MustParseAddr(silentAddr).As4()}
			if err := unix.Connect(fd, sa); err != unix.EINPROGRESS {
				return fmt.Errorf("connect %d: %v", i, err)
			}
			if i%100 == 0 {
				time.Sleep(5 * time.Millisecond) // the TAP's queue holds 1000 frames
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	if n := len(strings.Split(onHost(t, "ss", "-tnH", "state", "syn-sent"), "\n")); n < 1000 { // an eighth of the descriptors
		t.Fatalf("only %d connections are under way", n)
	}
	var took []time.Duration
	for range 9 {
		start := time.Now()
		c := mustDial(t, g, addr.String())
		if got, err := readAll(c); got != "ok" {
			t.Errorf("%q, %v, want ok", got, err)
		}
		took = append(took, time.Since(start))
	}
	// All but one, as another test may have the processor for once.
	if slices.Sort(took); took[7] > 200*time.Millisecond || took[8] > time.Second {
		t.Errorf("ok after %v, want it within 200 ms", took)
	}
}

// A SYN that offers ECN (RFC 3168) is answered like any other. So it is by C.
func TestTCPECN(t *testing.T) {
	g, _ := connectedGuest(t)
	guestSysctl(t, g, "net.ipv4.tcp_ecn", "1")
	wire := sniff(t, g, "tap0", nil)
	if got := curl(t, g, "http://198.51.100.2/"); got != lab.InetPage {
		t.Errorf("%q", got)
	}
	offered := false
	for _, s := range wire.segments(netip.MustParseAddr("10.0.2.100")) {
		offered = offered || s.flags&tcpSYN != 0 && s.flags&0xc0 == 0xc0
	}
	if !offered {
		t.Error("the guest did not offer ECN")
	}
}

// Any address of the guest can connect, one outside of the network too. So it
// is in C.
func TestTCPOtherSource(t *testing.T) {
	g, _ := connectedGuest(t)
	addr := listenInet(t, func(c *net.TCPConn) { c.Write([]byte("ok")) })
	for _, src := range []string{"10.0.2.50", "192.168.7.7"} {
		g.Run(t, commandTimeout, "ip", "addr", "add", src+"/32", "dev", "tap0")
		d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(src), 0))}
		if err := g.Do(func() error {
			c, err := d.Dial("tcp4", addr.String())
			if err != nil {
				return err
			}
			defer c.Close()
			if got, err := readAll(c); got != "ok" {
				return fmt.Errorf("read %q, %v", got, err)
			}
			return nil
		}); err != nil {
			t.Errorf("from %s: %v", src, err)
		}
	}
}

// Window scaling, SACK and timestamps (RFC 7323, RFC 2018) are agreed on. C
// has none of them.
func TestTCPOptions(t *testing.T) {
	g, _ := connectedGuest(t)
	c, peer := pairUp(t, g)
	if _, err := c.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	peer.Read(make([]byte, 1000))
	out := g.Run(t, commandTimeout, "ss", "-tineH", "dst", "198.51.100.2")
	for _, want := range []string{" ts ", " sack ", " wscale:"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
}

// The host's socket has keepalive, so that a peer that vanishes without a word
// is noticed: the guest sees RST. C has none. Nobody can wait for 5 minutes and
// 6 probes, so the test shortens the times on our very socket.
func TestTCPKeepalive(t *testing.T) {
	g, s := connectedGuest(t)
	addr, conns := accepting(t)
	c := mustDial(t, g, addr.String())
	peer := <-conns
	// The options are set when the guest's handshake is done, which a byte is
	// proof of.
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := peer.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	fd := socketOf(t, s.Process.Pid, peer.LocalAddr().String())
	defer unix.Close(fd)
	for option, want := range map[int]int{unix.TCP_KEEPIDLE: 300, unix.TCP_KEEPINTVL: 30, unix.TCP_KEEPCNT: 6} {
		if got, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, option); got != want || err != nil {
			t.Errorf("option %d is %d, %v; want %d", option, got, err, want)
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, option, 1); err != nil {
			t.Fatal(err)
		}
	}
	hostFilter(t, fmt.Sprintf("tcp dport %d drop", addr.Port()))
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Read(make([]byte, 1)); errno(err) != unix.ECONNRESET {
		t.Errorf("the guest reads: %v, want ECONNRESET", err)
	}
}

// socketOf is a copy of the socket of a process that is connected to addr.
func socketOf(t *testing.T, pid int, addr string) int {
	t.Helper()
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		n, _ := strconv.Atoi(e.Name())
		fd, err := unix.PidfdGetfd(pidfd, n, 0)
		if err != nil {
			continue // closed meanwhile
		}
		if sa, err := unix.Getpeername(fd); err == nil {
			if sa, ok := sa.(*unix.SockaddrInet4); ok && netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)).String() == addr {
				return fd
			}
		}
		unix.Close(fd)
	}
	t.Fatalf("process %d has no socket that is connected to %s", pid, addr)
	return -1
}
