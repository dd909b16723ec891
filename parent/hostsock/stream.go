package hostsock

import "golang.org/x/sys/unix"

// notSentLowWater is how many bytes of an upload a TCP socket takes beyond those
// that are on their way. Without it the kernel takes twice the congestion window:
// 0.8 MiB for a peer that reads nothing, and with 2000 such it is short of memory
// for TCP (tcp_mem), which makes the host's own connections slow: 1.4 GiB in all,
// guest and peers included, where 1.5 is a shortage; with it, 1.1.
// The rest waits with us, which has a bound, and in the guest. A stream gets no
// slower (12 and 14 Gbit/s at MTU 1500), nor with 128 KiB and 512 KiB.
const notSentLowWater = 256 << 10

// SetStreamOptions sets what the sockets of the guests' connections have, and what
// those inherit that are accepted. See tcp(7) and, for TCP_NOTSENT_LOWAT,
// tcp_notsent_lowat in the kernel's ip-sysctl.
func SetStreamOptions(fd int) error {
	// Who writes has decided on segments.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	// Urgent data stays where it was in the stream.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_OOBINLINE, 1); err != nil {
		return err
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSentLowWater)
	return nil
}
