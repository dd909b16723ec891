package hostsock

import "golang.org/x/sys/unix"

// notSentLowWater is how many bytes a TCP socket takes beyond those that are on
// their way; the kernel tells when half of them have gone. Without it the kernel
// takes twice the congestion window: 0.8 MiB for a peer that reads nothing, and
// with 2000 such it is short of memory for TCP (tcp_mem), which makes the host's
// own connections slow. The rest waits in the guest. A stream gets faster (14 in
// place of 12 Gbit/s at MTU 1500), as what it sends is still in the cache; 128 KiB
// and 512 KiB do the same.
const notSentLowWater = 256 << 10

// SetStreamOptions sets what each TCP socket of the host has, and what sockets
// that are accepted inherit. See tcp(7) and, for TCP_NOTSENT_LOWAT, ip-sysctl's
// tcp_notsent_lowat.
func SetStreamOptions(fd int) error {
	for _, o := range []struct{ level, name, value int }{
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1}, // who writes has decided on segments
		{unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSentLowWater},
		// Urgent data stays where it was in the stream.
		{unix.SOL_SOCKET, unix.SO_OOBINLINE, 1},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return err
		}
	}
	return nil
}
