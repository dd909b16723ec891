package parent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/ipc"
	"github.com/slirp4netns-go/slirp4netns/ipc/tun"
	"github.com/slirp4netns-go/slirp4netns/parent/framesock"
	"github.com/slirp4netns-go/slirp4netns/parent/link"
)

// inspectWithin is inspect with an end: fd may be a file of a file system that
// never answers.
func inspectWithin(ctx context.Context, fd int, reply *ipc.TapReply) (tapDevice, error) {
	type result struct {
		tap tapDevice
		err error
	}
	done := make(chan result, 1)
	go func() {
		tap, err := inspect(fd, reply)
		done <- result{tap, err}
	}()
	select {
	case r := <-done:
		return r.tap, r.err
	case <-ctx.Done():
		return tapDevice{}, fmt.Errorf("%w: no answer to ioctl(TUNGETIFF): %w", tun.ErrNotTAP, ctx.Err())
	}
}

// inspect finds out whether fd is what the child says.
func inspect(fd int, reply *ipc.TapReply) (tapDevice, error) {
	f, err := tun.Inspect(fd)
	if err != nil {
		return tapDevice{}, err
	}
	if f.Name != reply.GetName() || f.VnetHdrLen != int(reply.GetVnetHeaderLength()) {
		return tapDevice{}, fmt.Errorf("TAP %q with a header of %d bytes, said to be %q with %d",
			f.Name, f.VnetHdrLen, reply.GetName(), reply.GetVnetHeaderLength())
	}
	if f.VnetHdrLen != 0 && f.VnetHdrLen != tun.VnetHdrLen {
		return tapDevice{}, fmt.Errorf("TAP with a header of %d bytes, want %d", f.VnetHdrLen, tun.VnetHdrLen)
	}
	f.Offload = reply.GetOffloads()
	return tapDevice{fd: fd, features: f}, unix.SetNonblock(fd, true)
}

// inheritedTap takes the TAP, or the socket, that the caller passed as a file
// descriptor. A TAP's offloads are left to the data plane to set: the kernel
// cannot be asked what they are.
func inheritedTap(fd int, gateway netip.Addr) (tapDevice, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return tapDevice{}, fmt.Errorf("tapfd %d: %w", fd, err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFSOCK {
		name := fmt.Sprintf("tapfd %d", fd)
		pair, err := framesock.Open(fd, name, link.Announcement(gateway))
		if err != nil {
			return tapDevice{}, fmt.Errorf("%s: %w", name, err)
		}
		return tapDevice{fd: fd, wire: pair}, nil
	}
	f, err := tun.Inspect(fd)
	if errors.Is(err, tun.ErrNotTAP) {
		return tapDevice{}, fmt.Errorf("tapfd %d: %w", fd, err)
	}
	if err != nil {
		return tapDevice{}, err
	}
	return tapDevice{fd: fd, features: f}, unix.SetNonblock(fd, true)
}
