package lab

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// bridgeTimeout is for the commands that set up a guest.
const bridgeTimeout = 5 * time.Second

// maxFrame is more than any Ethernet frame has, in bytes.
const maxFrame = 65536 + 32

// FramePair is a connected pair of UNIX sockets of a type that keeps messages
// apart: one end for a slirp4netns, one for [Guest.Bridge]. The caller closes
// both.
func FramePair(t T, typ int) (ours, theirs *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatalf("socketpair: %v", err)
	}
	return os.NewFile(uintptr(fds[0]), "frames"), os.NewFile(uintptr(fds[1]), "frames")
}

// DialFrames connects to a SOCK_SEQPACKET socket that keeps frames apart.
func DialFrames(path string) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("connect", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// Bridge carries frames between a guest's TAP and a socket, as a virtual
// machine monitor does.
type Bridge struct {
	tap, sock *os.File
	both      sync.WaitGroup
}

// Bridge makes tap0 in the guest and connects it to sock, which it owns. Unless
// addr is the zero Prefix, tap0 has that address, an Ethernet address that
// follows from it, and a default route. It ends with the test.
func (g *Guest) Bridge(t T, sock *os.File, mtu int, addr netip.Prefix) *Bridge {
	t.Helper()
	var fd int
	if err := g.Do(func() (err error) {
		if fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err != nil {
			return err
		}
		ifr, err := unix.NewIfreq("tap0")
		if err != nil {
			return err
		}
		ifr.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		return unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}); err != nil {
		t.Fatalf("bridge: %v", err)
	}
	link := []string{"link", "set", "tap0", "mtu", strconv.Itoa(mtu), "up"}
	if addr.IsValid() {
		a := addr.Addr().As4()
		link = append(link, "address", fmt.Sprintf("02:00:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3]))
	}
	g.Run(t, bridgeTimeout, "ip", link...)
	if addr.IsValid() {
		g.Run(t, bridgeTimeout, "ip", "addr", "add", addr.String(), "dev", "tap0")
		gateway := addr.Masked().Addr().Next().Next()
		g.Run(t, bridgeTimeout, "ip", "route", "add", "default", "via", gateway.String())
	}
	b := &Bridge{tap: os.NewFile(uintptr(fd), "tap0"), sock: sock}
	b.both.Go(func() { carry(b.sock, b.tap) })
	b.both.Go(func() { carry(b.tap, b.sock) })
	t.Cleanup(b.Close)
	return b
}

// carry copies frame by frame until one of the two ends.
func carry(to, from *os.File) {
	frame := make([]byte, maxFrame)
	for {
		n, err := from.Read(frame)
		if err != nil {
			return
		}
		// A frame that is not taken is lost, as on any wire.
		if _, err := to.Write(frame[:n]); err == io.EOF {
			return
		}
	}
}

// Close pulls the plug: the TAP is gone, and the socket is closed.
func (b *Bridge) Close() {
	b.tap.Close()
	b.sock.Close()
	b.both.Wait()
}
