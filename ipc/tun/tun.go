// Package tun holds the ioctls of /dev/net/tun that both the child (which
// makes TAPs) and the link endpoint (which is given them) need. It knows
// nothing of namespaces or of the network stack.
//
// Source: Linux Documentation/networking/tuntap.rst and
// include/uapi/linux/if_tun.h.
package tun

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offload bits of TUNSETOFFLOAD (linux/if_tun.h). With TUN_F_CSUM and the TSO
// bits the namespace's kernel hands us segments of up to 64 KiB whatever the
// MTU; the USO bits do the same for UDP and exist since Linux 6.2.
const (
	OffloadCSUM   = unix.TUN_F_CSUM
	OffloadTSO4   = unix.TUN_F_TSO4
	OffloadTSO6   = unix.TUN_F_TSO6
	OffloadTSOECN = unix.TUN_F_TSO_ECN
	OffloadUSO4   = unix.TUN_F_USO4
	OffloadUSO6   = unix.TUN_F_USO6

	OffloadTCP = OffloadCSUM | OffloadTSO4 | OffloadTSO6
	OffloadAll = OffloadTCP | OffloadUSO4 | OffloadUSO6
)

// VnetHdrLen is the size in bytes of struct virtio_net_hdr without
// num_buffers, the default of a TAP with IFF_VNET_HDR.
const VnetHdrLen = 10

// Features is what a TAP does.
type Features struct {
	Name       string // the interface's name at the time of asking
	VnetHdrLen int    // bytes before each frame; 0 without IFF_VNET_HDR
	Offload    uint32 // effective TUNSETOFFLOAD bits
}

// ErrNotTAP tells that a file descriptor is not an attached TAP.
var ErrNotTAP = errors.New("not a TAP device")

// Open attaches to the TAP called name in the current network namespace,
// making it if it is not there, with a virtio-net header and as many of the
// wanted offloads as the kernel has. The caller owns fd, which is
// non-blocking and close-on-exec.
//
// slirp4netns: the texts of the first two errors are the C program's.
func Open(name string, want uint32) (fd int, f Features, err error) {
	fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, f, fmt.Errorf("open(\"/dev/net/tun\"): %w", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
			fd = -1
		}
	}()
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return fd, f, fmt.Errorf("interface name %q: %w", name, err)
	}
	ifr.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		return fd, f, fmt.Errorf("ioctl(TUNSETIFF): %w", err)
	}
	if err = unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, VnetHdrLen); err != nil {
		return fd, f, fmt.Errorf("ioctl(TUNSETVNETHDRSZ) on %s: %w", name, err)
	}
	f = Features{Name: ifr.Name(), VnetHdrLen: VnetHdrLen}
	f.Offload, err = SetOffload(fd, want)
	return fd, f, err
}

// Inspect asks what the TAP behind fd does. Its Offload is zero: the kernel
// cannot be asked, only told (SetOffload).
func Inspect(fd int) (Features, error) {
	var f Features
	// The name is filled in by the kernel.
	ifr, err := unix.NewIfreq("x")
	if err != nil {
		return f, err
	}
	if err := unix.IoctlIfreq(fd, unix.TUNGETIFF, ifr); err != nil {
		return f, fmt.Errorf("%w: ioctl(TUNGETIFF): %w", ErrNotTAP, err)
	}
	flags := ifr.Uint16()
	if flags&unix.IFF_TAP == 0 {
		return f, fmt.Errorf("%w: %s is a TUN device", ErrNotTAP, ifr.Name())
	}
	if flags&unix.IFF_NO_PI == 0 {
		return f, fmt.Errorf("%w: %s carries packet information (IFF_NO_PI is not set)", ErrNotTAP, ifr.Name())
	}
	f.Name = ifr.Name()
	if flags&unix.IFF_VNET_HDR != 0 {
		n, err := getInt(fd, unix.TUNGETVNETHDRSZ)
		if err != nil {
			return f, fmt.Errorf("ioctl(TUNGETVNETHDRSZ) on %s: %w", f.Name, err)
		}
		f.VnetHdrLen = n
	}
	return f, nil
}

// SetOffload sets the offloads of the TAP behind fd, dropping those of want
// that this kernel does not know: first USO, then segmentation, then all. It
// returns what is in force.
func SetOffload(fd int, want uint32) (uint32, error) {
	var err error
	for _, mask := range []uint32{OffloadAll, OffloadTCP, OffloadCSUM, 0} {
		// A plain integer argument, not a pointer.
		if err = unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, int(want&mask)); err == nil {
			return want & mask, nil
		}
		if !errors.Is(err, unix.EINVAL) {
			break
		}
	}
	return 0, fmt.Errorf("ioctl(TUNSETOFFLOAD): %w", err)
}

// getInt is an ioctl that fills in a C int.
func getInt(fd int, req uint) (int, error) {
	var v int32
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(req), uintptr(unsafe.Pointer(&v)))
	if errno != 0 {
		return 0, errno
	}
	return int(v), nil
}
