package child

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/ipc"
	"github.com/slirp4netns-go/slirp4netns/ipc/tun"
)

// open attaches to the TAP of req, making it if there is none.
//
// A TAP that the caller made is taken as it is. One that we make is made
// elsewhere and moved in (move.go), so that it ends with the namespace; unless
// the parent has no use for that. Where it cannot be, the TAP is made on the
// spot as well, and the parent watches a process.
func open(req *ipc.TapRequest) (int, *ipc.TapReply, error) {
	reply := &ipc.TapReply{}
	there, err := exists(req.Name)
	if err != nil {
		return -1, nil, err
	}
	if !there && !req.KeepNamespace {
		fd, f, err := openMoved(req.Name, req.Offloads)
		if err == nil {
			reply.Made, reply.EndsWithNamespace = true, true
			describe(reply, f)
			return fd, reply, nil
		}
	}
	fd, f, err := tun.Open(req.Name, req.Offloads)
	if err != nil {
		return -1, nil, explain(err, req.Name, there)
	}
	reply.Made = !there
	describe(reply, f)
	return fd, reply, nil
}

func describe(reply *ipc.TapReply, f tun.Features) {
	reply.Name = f.Name
	reply.VnetHeaderLength = uint32(f.VnetHdrLen)
	reply.Offloads = f.Offload
}

// exists tells whether the network namespace has an interface called name.
func exists(name string) (bool, error) {
	if ipc.Template(name) {
		return false, nil
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, fmt.Errorf("socket(AF_INET): %w", err)
	}
	defer unix.Close(s)
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return false, fmt.Errorf("interface name %q: %w", name, err)
	}
	err = unix.IoctlIfreq(s, unix.SIOCGIFINDEX, ifr)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, unix.ENODEV):
		return false, nil
	}
	return false, fmt.Errorf("ioctl(SIOCGIFINDEX) on %s: %w", name, err)
}

// explain adds a line to what the kernel says about an interface that is
// there, but that we cannot have. The first line remains the C program's.
func explain(err error, name string, there bool) error {
	switch {
	case strings.HasPrefix(err.Error(), "open("):
		return explainDevice(err)
	case there && errors.Is(err, unix.EBUSY):
		return fmt.Errorf("%s\n%s: another process is attached to this TAP", ipc.UserText(err), name)
	case there && errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%s\n%s: exists already, and is not a TAP that one process can attach to", ipc.UserText(err), name)
	case there && errors.Is(err, unix.EPERM):
		return fmt.Errorf("%s\n%s: exists already, and belongs to another user", ipc.UserText(err), name)
	}
	return err
}

// explainDevice adds a line to what the kernel says about /dev/net/tun.
func explainDevice(err error) error {
	var why string
	switch {
	case errors.Is(err, unix.EACCES):
		why = "it takes mode 0666 (chmod 666 /dev/net/tun, as root)"
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		why = "the kernel's module is not there (modprobe tun, as root), or this container was not given the device (--device /dev/net/tun)"
	case errors.Is(err, unix.EPERM):
		why = "this container's device cgroup forbids it (--device /dev/net/tun)"
	default:
		return err
	}
	return fmt.Errorf("%s\n%s", ipc.UserText(err), why)
}
