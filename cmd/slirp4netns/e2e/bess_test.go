package e2e

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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
	const hello = "hello, neighbour"
	thief.send(thief.ethernet(victim.mac, 0x1234, []byte(hello)))
	victim.want("frame from the neighbour", func(f []byte) bool {
		if [6]byte(f[6:12]) == thief.mac && string(f[14:]) != hello || string(f[14:]) == "I am the gateway" {
			t.Errorf("%x came through", f)
		}
		return string(f[14:]) == hello
	})
	victim.handshake("10.0.2.2", lab.HostHTTPPort)
}

// TestBESSReady is not ready before there is a peer, and ends when its caller
// does, before and after.
func TestBESSReady(t *testing.T) {
	for name, args := range withAndWithoutLocks {
		t.Run(name, func(t *testing.T) {
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
			cmd := lab.Command(t.Context(), user, lab.Binary, append(args[:len(args):len(args)], "-r", "3", "-e", "4", "--target-type=bess", path)...)
			var log lab.Log
			cmd.Stdout, cmd.Stderr = &log, &log
			cmd.ExtraFiles = []*os.File{readyW, exitR}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			readyW.Close()
			exitR.Close()
			want := "Waiting for connection to " + path + "\n"
			for deadline := time.Now().Add(commandTimeout); !strings.HasSuffix(log.String(), want); time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%q, want %q", log.String(), want)
				}
			}
			ready.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			if n, err := ready.Read(make([]byte, 2)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("ready without a peer: %d, %v", n, err)
			}
			exit.Close()
			if err := cmd.Wait(); err != nil {
				t.Errorf("after its exit-fd: %v\n%s", err, log.String())
			}
			if !gone(path) {
				t.Errorf("%s is left behind", path)
			}
		})
	}
}

// TestBESSSocket is what may be at the path already.
func TestBESSSocket(t *testing.T) {
	dir := lab.TempDir(t, user)
	run := func(path string) (string, int) {
		return runToEnd(t, user, "timeout", "5", lab.Binary, "--target-type=bess", path)
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
