package e2e

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
	"github.com/slirp4netns-go/slirp4netns/ipc/tun"
)

// tapHeaders are the two ways to make a TAP.
var tapHeaders = map[string]uint16{"with header": unix.IFF_VNET_HDR, "without header": 0}

// TestTapFD passes a TAP that was made with, and one without, a header.
func TestTapFD(t *testing.T) {
	for name, flags := range tapHeaders {
		t.Run(name, func(t *testing.T) {
			g := lab.NewGuest(t, lab.GuestOptions{Root: true, Kind: lab.NoUserNS})
			tap := openTAP(t, g, flags)
			g.Run(t, commandTimeout, "sh", "-c",
				"ip link set tap0 up && ip addr add 10.0.2.100/24 dev tap0 && ip route add default via 10.0.2.2")
			s := lab.StartSlirp(t, lab.SlirpOptions{UID: user, Files: []*os.File{tap},
				Args: []string{"--netns-type=tapfd", "5"}})
			checkSlirpDocumented(t, s)
			tap.Close()
			checkOpenFiles(t, s.Process.Pid) // before there are flows
			checkReachesHost(t, g)
			checkNoChildren(t, s.Process.Pid)
			s.Stop()
			if want := "received tapfd=5\n"; !strings.Contains(s.Log(), want) {
				t.Errorf("%q, want %q", s.Log(), want)
			}
		})
	}
}

// openTAP makes tap0 in the guest, as a program that passes it on would.
func openTAP(t *testing.T, g *lab.Guest, flags uint16) *os.File {
	t.Helper()
	var fd int
	err := g.Do(func() (err error) {
		if fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
			return err
		}
		ifr, err := unix.NewIfreq("tap0")
		if err != nil {
			return err
		}
		ifr.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | flags)
		return unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	})
	if err != nil {
		t.Fatal(err)
	}
	if f, err := tun.Inspect(fd); err != nil || f.Name != "tap0" {
		t.Fatalf("%+v, %v", f, err)
	}
	return os.NewFile(uintptr(fd), "tap0")
}

func TestTapFDErrors(t *testing.T) {
	lab.RequireBinary(t)
	for arg, want := range map[string]string{
		"77": "tapfd 77: Bad file descriptor\n",
		"0":  "tapfd 0: not a TAP device: ioctl(TUNGETIFF): ",
	} {
		out, status := runToEnd(t, user, lab.Binary, "--netns-type=tapfd", arg)
		if status != 1 || !strings.HasPrefix(out, want) {
			t.Errorf("tapfd %s: status %d, %q, want %q", arg, status, out, want)
		}
	}
}
