package child

import (
	"fmt"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/ipc"
	"github.com/slirp4netns-go/slirp4netns/ipc/tun"
)

// openMoved makes the TAP called name in a network namespace of its own and
// moves it to that of the main thread.
//
// A TAP's descriptor keeps alive the namespace that it was opened in. Opened in
// the guest's, the guest's would never end, and nobody could tell that its
// last process is gone. Moved there, the device goes when the guest's
// namespace goes, and its descriptor reports that as EBADFD and POLLERR.
//
// Preconditions: the main thread is locked to the main goroutine, and the
// caller's is in the same network namespace.
func openMoved(name string, offloads uint32) (fd int, f tun.Features, err error) {
	if ipc.Template(name) {
		if name, err = freeName(name); err != nil {
			return -1, f, err
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Never unlocked: the thread, and its namespace, end with this
		// goroutine.
		runtime.LockOSThread()
		fd, f, err = makeAndMove(name, offloads)
	}()
	<-done
	return fd, f, err
}

func makeAndMove(name string, offloads uint32) (fd int, f tun.Features, err error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return -1, f, fmt.Errorf("unshare(CLONE_NEWNET): %w", err)
	}
	fd, f, err = tun.Open(name, offloads)
	if err != nil {
		return -1, f, err
	}
	if err = moveToMainThread(name); err != nil {
		unix.Close(fd)
		return -1, f, err
	}
	return fd, f, nil
}

// moveToMainThread moves an interface to the network namespace of the main
// thread, whose ID is the process's.
func moveToMainThread(name string) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("netlink: %w", err)
	}
	defer h.Close()
	link := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: name}}
	if err := h.LinkSetNsPid(link, os.Getpid()); err != nil {
		return fmt.Errorf("moving %s: %w", name, err)
	}
	return nil
}
