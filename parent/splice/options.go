package splice

import (
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
)

// Keepalive (RFC 9293, section 3.8.4), towards the guest and towards the host's
// peer: a flow whose other end has vanished without a word ends after idle
// plus count times interval without an answer.
//
// A flow that the guest has half-closed is probed sooner. Its process may have
// been killed; the guest's kernel then keeps the connection for
// net.ipv4.tcp_fin_timeout (60 s), forgets it, and answers the next probe
// with RST. So the host's socket of a killed process is gone within 100 s.
var (
	keepOpen = keepalive{idle: 2 * time.Minute, interval: 15 * time.Second, count: 4}
	keepHalf = keepalive{idle: 10 * time.Second, interval: 10 * time.Second, count: 6}
	keepHost = keepalive{idle: 5 * time.Minute, interval: 30 * time.Second, count: 6}
)

type keepalive struct {
	idle, interval time.Duration
	count          int
}

// apply sets k on the endpoint towards the guest.
func (k keepalive) apply(ep tcpip.Endpoint) {
	idle, interval := tcpip.KeepaliveIdleOption(k.idle), tcpip.KeepaliveIntervalOption(k.interval)
	_ = ep.SetSockOpt(&idle)
	_ = ep.SetSockOpt(&interval)
	_ = ep.SetSockOptInt(tcpip.KeepaliveCountOption, k.count)
	ep.SocketOptions().SetKeepAlive(true)
}

// applyHost sets k on a socket of the host.
func (k keepalive) applyHost(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(k.idle/time.Second))
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int(k.interval/time.Second))
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, k.count)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
}

// orphanTimeout is how long netstack goes on offering the last bytes of a
// connection whose host side has closed to a guest that does not take them.
// Linux gives up its own orphans (tcp_orphan_retries, tcp(7)) somewhat sooner.
const orphanTimeout = 5 * time.Minute

// limitOrphan sets it.
func limitOrphan(ep tcpip.Endpoint) {
	timeout := tcpip.TCPUserTimeoutOption(orphanTimeout)
	_ = ep.SetSockOpt(&timeout)
}
