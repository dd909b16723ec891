package e2e

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// startBESS starts a slirp4netns --target-type=bess, and returns its first peer.
func startBESS(t *testing.T, args ...string) (*lab.BESS, *os.File) {
	t.Helper()
	return lab.StartBESS(t, lab.SlirpOptions{UID: user, Args: args})
}

// gone tells whether a file was removed.
func gone(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

var withAndWithoutLocks = map[string][]string{"unlocked": nil, "locked": bothLocks}

// TestBESS are stations that speak to the socket by hand.
func TestBESS(t *testing.T) {
	for name, args := range withAndWithoutLocks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, first := startBESS(t, args...)
			if st, err := os.Stat(b.Path); err != nil || st.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v: want mode 0600", st.Mode(), err)
			}
			if args != nil {
				checkLocked(t, b.Process.Pid)
			}
			one := newStation(t, first, "10.0.2.100")
			two := newStation(t, b.Peer(t), "10.0.2.101")
			for range 2 {
				for _, s := range []*station{one, two} {
					if mac := s.resolve("10.0.2.2"); mac != gatewayMAC {
						t.Errorf("the gateway is %x, want %x", mac, gatewayMAC)
					}
					if got := s.discover().String(); got != map[*station]string{one: "10.0.2.15", two: "10.0.2.16"}[s] {
						t.Errorf("%v was offered %s", s.addr, got)
					}
					s.handshake("10.0.2.2", lab.HostHTTPPort)
					s.nonsense()
				}
			}
			// All leave: it waits for others, and does nothing.
			first.Close()
			two.file.Close()
			checkIdle(t, b.Process.Pid)
			three := newStation(t, b.Peer(t), "10.0.2.102")
			three.resolve("10.0.2.3")
			three.handshake("10.0.2.2", lab.HostHTTPPort)
			b.Stop()
			if !gone(b.Path) {
				t.Errorf("%s is left behind", b.Path)
			}
		})
	}
}

// TestBESSSpoofing is a peer that wants to be the gateway of another one.
func TestBESSSpoofing(t *testing.T) {
	b, first := startBESS(t, "--enable-ipv6")
	victim := newStation(t, first, "10.0.2.100")
	thief := newStation(t, b.Peer(t), "10.0.2.101")
	victim.resolve("10.0.2.2")
	gateway := netip.MustParseAddr("10.0.2.2")
	for _, f := range [][]byte{
		thief.ethernet(everybody, protoARP, arp(2, thief.mac, gateway, victim.mac, victim.addr)),
		thief.ethernet(victim.mac, protoARP, arp(1, thief.mac, gateway, victim.mac, victim.addr)),
		thief.ethernet(victim.mac, protoIPv4, ipv4(17, gateway, victim.addr, udp(53, 53, nil))),
		thief.ethernet(everybody, protoIPv4, ipv4(17, thief.addr, netip.AddrFrom4([4]byte{255, 255, 255, 255}), udp(67, 68, nil))),
	} {
		thief.send(f)
	}
	real := thief.mac
	thief.mac = gatewayMAC
	thief.send(thief.ethernet(everybody, 0x1234, []byte("I am the gateway")))
	thief.mac = real
	router, everybody6, thief6 := netip.MustParseAddr("fe80::2"), netip.MustParseAddr("ff02::1"), netip.MustParseAddr("fe80::bad")
	forge := func(to [6]byte, packet []byte) { thief.send(thief.ethernet(to, protoIPv6, packet)) }
	forgeUDP := func(src netip.Addr, from, to uint16) {
		d := udp6(netip.AddrPortFrom(src, from), netip.AddrPortFrom(everybody6, to), nil)
		forge(victim.mac, packet6(unix.IPPROTO_UDP, usualHops, src, everybody6, d))
	}
	for _, addr := range []string{"fe80::2", "fe80::3", "fd00::2", "fd00::3"} {
		a := netip.MustParseAddr(addr)
		forge(allNodesMAC, neighbour6(neighbourAdvert, thief6, everybody6, a, thief.mac))
		forge(allNodesMAC, neighbour6(neighbourSolicit, a, everybody6, thief6, thief.mac))
		forgeUDP(a, 53, 53)
	}
	forge(allNodesMAC, packet6(unix.IPPROTO_ICMPV6, neighbourHops, thief6, everybody6,
		icmp6(routerAdvertisement, 0, thief6, everybody6, make([]byte, 12))))
	forge(allNodesMAC, neighbour6(redirect, thief6, everybody6, router, thief.mac))
	forgeUDP(thief6, 547, 546) // DHCPv6
	const hello = "hello, neighbour"
	thief.send(thief.ethernet(victim.mac, 0x1234, []byte(hello)))
	victim.want("frame from the neighbour", func(f []byte) bool {
		if [6]byte(f[6:12]) == thief.mac && string(f[14:]) != hello || string(f[14:]) == "I am the gateway" {
			t.Errorf("%x came through", f)
		}
		return string(f[14:]) == hello
	})
	victim.handshake("10.0.2.2", lab.HostHTTPPort)
	for _, addr := range []string{"fe80::2", "fd00::3"} {
		if mac := victim.resolve6(addr); mac != routerMAC {
			t.Errorf("%s is %x, want %x", addr, mac, routerMAC)
		}
	}
}

// TestBESSReady is not ready before there is a peer, and ends when its caller
// does, before and after.
func TestBESSReady(t *testing.T) {
	for name, args := range withAndWithoutLocks {
		for _, peer := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, peer %t", name, peer), func(t *testing.T) {
				t.Parallel()
				testBESSReady(t, args, peer)
			})
		}
	}
}

var descriptorNumber = regexp.MustCompile(`tapfd("?)=[0-9]+`)

func testBESSReady(t *testing.T, args []string, peer bool) {
	path := filepath.Join(lab.TempDir(t, user), "bess.sock")
	ready, readyW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer ready.Close()
	exitR, exit, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer exit.Close()
	cmd := lab.Command(t.Context(), user, lab.Binary, slices.Concat(lab.Locks(), args, []string{"-r", "3", "-e", "4", "--target-type=bess", path})...)
	var log lab.Log
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.ExtraFiles = []*os.File{readyW, exitR}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	readyW.Close()
	exitR.Close()
	want := "Waiting for connection to " + path + "\n"
	await(t, want, func() bool { return strings.HasSuffix(log.String(), want) })
	ready.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, err := ready.Read(make([]byte, 2)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("ready without a peer: %d, %v", n, err)
	}
	var file *os.File
	if peer {
		if file, err = lab.DialFrames(path); err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		ready.SetReadDeadline(time.Now().Add(commandTimeout))
		if b, err := io.ReadAll(ready); err != nil || string(b) != "1" {
			t.Errorf("ready-fd with a peer: %q, %v", b, err)
		}
		want += fmt.Sprintf("sent \"tapfd\"=N (not really TAP) for %s\nreceived tapfd=N\n", path)
		await(t, want, func() bool {
			return strings.HasSuffix(descriptorNumber.ReplaceAllString(log.String(), "tapfd$1=N"), want)
		})
		newStation(t, file, "10.0.2.100").handshake("10.0.2.2", lab.HostHTTPPort)
	}
	exit.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("after its exit-fd: %v\n%s", err, log.String())
	}
	if peer {
		file.SetReadDeadline(time.Now().Add(commandTimeout))
		if _, err := io.Copy(io.Discard, file); err != nil && !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("the peer sees %v, want the end", err)
		}
	}
	if !gone(path) {
		t.Errorf("%s is left behind", path)
	}
}

// TestBESSNoDescriptors: a peer for which there is no descriptor waits. It is let
// in when there are some, without a loop meanwhile, and without harm to others.
func TestBESSNoDescriptors(t *testing.T) {
	t.Parallel()
	b, first := startBESS(t)
	one := newStation(t, first, "10.0.2.100")
	one.resolve("10.0.2.2")
	limit := func(n int) {
		t.Helper()
		cmd := lab.Command(t.Context(), user, "prlimit", "--pid", fmt.Sprint(b.Process.Pid), fmt.Sprintf("--nofile=%d:", n))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	limit(1)
	two := newStation(t, b.Peer(t), "10.0.2.101")
	two.send(two.ethernet(everybody, protoARP, arp(1, two.mac, two.addr, [6]byte{}, one.addr)))
	asked := func(f []byte) bool { return [6]byte(f[6:12]) == two.mac }
	if one.await(500*time.Millisecond, asked) != nil {
		t.Error("it was let in without a descriptor")
	}
	checkIdle(t, b.Process.Pid)
	one.resolve("10.0.2.3")
	limit(1024)
	one.want("frame of who waited", asked)
	two.handshake("10.0.2.2", lab.HostHTTPPort)
}

// TestBESSSocket is what may be at the path already.
func TestBESSSocket(t *testing.T) {
	dir := lab.TempDir(t, user)
	run := func(path string) (string, int) {
		return runToEnd(t, user, lab.Binary, "--target-type=bess", path)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	b, _ := startBESS(t)
	for path, want := range map[string]string{
		file:                               "left alone",
		b.Path:                             "somebody listens there already",
		filepath.Join(dir, "nowhere", "x"): "bind: No such file or directory",
		strings.Repeat("x", 108):           "the specified BESS socket path is too long (>= 108)",
	} {
		if out, status := run(path); status != 1 || !strings.Contains(out, want) {
			t.Errorf("%s: status %d, %q, want %q", path, status, out, want)
		}
	}
	// One that nobody listens on any more is replaced.
	b.Process.Kill()
	b.Wait(endTimeout)
	if gone(b.Path) {
		t.Fatal("killed, and the file is gone")
	}
	peer := make(chan *os.File, 1)
	go func() { peer <- lab.DialWhenThere(b.Path) }()
	s := lab.StartSlirp(t, lab.SlirpOptions{UID: user, Args: []string{"--target-type=bess", b.Path}})
	(<-peer).Close()
	s.Process.Signal(unix.SIGTERM)
	s.Wait(endTimeout)
	if !gone(b.Path) {
		t.Error("the file is left behind after SIGTERM")
	}
}

// TestBESSAcknowledges: single bytes, which nobody answers, are acknowledged soon,
// though acknowledgements are held back for what may carry them.
func TestBESSAcknowledges(t *testing.T) {
	_, first := lab.StartBESS(t, lab.SlirpOptions{UID: user})
	s := newStation(t, first, "10.0.2.100")
	s.resolve("10.0.2.2")
	to := netip.MustParseAddr("10.0.2.2")
	next := s.connect(to, lab.HostHTTPPort) + 1
	var took []time.Duration
	for i := range uint32(20) {
		begin := time.Now()
		s.send(s.segmentWith(to, lab.HostHTTPPort, header.TCPFlagAck|header.TCPFlagPsh, 1001+i, next, []byte{'x'}))
		s.want("acknowledgement", func(f []byte) bool {
			return len(f) >= 14+20+20 && f[23] == 6 && header.TCP(f[34:]).DestinationPort() == s.port && header.TCP(f[34:]).AckNumber() == 1002+i
		})
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	t.Log(took[0], took[10], took[19])
	if took[10] > 20*time.Millisecond {
		t.Errorf("it takes %v (median)", took[10])
	}
}
