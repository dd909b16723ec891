package parent

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent/sandbox"
)

// ambientCaps are the capabilities that the child needs, and that it would
// lose over exec because our user ID is not 0: those of a process that was
// given them without being root, for instance in a user namespace that does
// not map its user to 0 (capabilities(7), "Ambient").
func ambientCaps() []uintptr {
	if os.Geteuid() == 0 {
		return nil
	}
	has, err := sandbox.Permitted()
	if err != nil {
		return nil
	}
	var caps []uintptr
	for _, c := range []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN} {
		if has&sandbox.NewSet(c) != 0 {
			caps = append(caps, c)
		}
	}
	return caps
}

// mayMount tells whether we can make a mount namespace without another user
// namespace: as root we can.
func mayMount() bool {
	has, err := sandbox.Permitted()
	return err == nil && has&sandbox.NewSet(unix.CAP_SYS_ADMIN) != 0
}

// raiseAmbient lets caps, as far as we have them, survive exec on this thread
// when our user ID is not 0.
func raiseAmbient(caps ...uintptr) error {
	if os.Geteuid() == 0 {
		return nil
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	for _, c := range caps {
		data[c/32].Inheritable |= data[c/32].Permitted & (1 << (c % 32))
	}
	if err := unix.Capset(&hdr, &data[0]); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	for _, c := range caps {
		if data[c/32].Inheritable&(1<<(c%32)) == 0 {
			continue
		}
		err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, c, 0, 0)
		if err != nil && !errors.Is(err, unix.EINVAL) { // before Linux 4.3
			return fmt.Errorf("prctl(PR_CAP_AMBIENT_RAISE): %w", err)
		}
	}
	return nil
}
