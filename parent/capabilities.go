package parent

import (
	"os"

	"golang.org/x/sys/unix"
)

// ambientCaps are the capabilities that the child needs, and that it would
// lose over exec because our user ID is not 0: those of a process that was
// given them without being root, for instance in a user namespace that does
// not map its user to 0 (capabilities(7), "Ambient").
func ambientCaps() []uintptr {
	if os.Geteuid() == 0 {
		return nil
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return nil
	}
	var caps []uintptr
	for _, c := range []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN} {
		if data[c/32].Permitted&(1<<(c%32)) != 0 {
			caps = append(caps, c)
		}
	}
	return caps
}
