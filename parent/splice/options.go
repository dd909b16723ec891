package splice

import (
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
)

// Times are the time-outs of Flows.
//
// Keepalive (RFC 9293, section 3.8.4), towards the guest and towards the host's
// peer: a flow whose other end has vanished without a word ends after Idle
// plus Count times Interval without an answer.
//
// A flow that the guest has half-closed is probed sooner. Its process may have
// been killed; the guest's kernel then keeps the connection for
// net.ipv4.tcp_fin_timeout (60 s), forgets it, and answers the next probe
// with RST. So the host's socket of a killed process is gone within 100 s, if its
// peer has read all (rest.go).
type Times struct {
	Open       Keepalive // towards the guest
	HalfClosed Keepalive // the same after the guest's FIN
	Host       Keepalive // towards the host's peer; in whole seconds
	// Orphan is how long the last bytes of a connection whose host side has
	// closed or failed are kept for a guest that does not take them (limit.go),
	// and those of a guest that is gone for a peer that does not (rest.go).
	// Linux gives up its own orphans (tcp_orphan_retries, tcp(7)) somewhat
	// sooner.
	Orphan time.Duration
}

// Keepalive is when and how often the other end is asked whether it is there.
type Keepalive struct {
	Idle, Interval time.Duration
	Count          int
}

// DefaultTimes are those of Flows whose Config has none.
var DefaultTimes = Times{
	Open:       Keepalive{Idle: 2 * time.Minute, Interval: 15 * time.Second, Count: 4},
	HalfClosed: Keepalive{Idle: 10 * time.Second, Interval: 10 * time.Second, Count: 6},
	Host:       Keepalive{Idle: 5 * time.Minute, Interval: 30 * time.Second, Count: 6},
	Orphan:     5 * time.Minute,
}

// times are those that hold.
func (c *Config) times() *Times {
	if c.Times != nil {
		return c.Times
	}
	return &DefaultTimes
}

// apply sets k on the endpoint towards the guest.
func (k Keepalive) apply(ep tcpip.Endpoint) {
	idle, interval := tcpip.KeepaliveIdleOption(k.Idle), tcpip.KeepaliveIntervalOption(k.Interval)
	_ = ep.SetSockOpt(&idle)
	_ = ep.SetSockOpt(&interval)
	_ = ep.SetSockOptInt(tcpip.KeepaliveCountOption, k.Count)
	ep.SocketOptions().SetKeepAlive(true)
}

// applyHost sets k on a socket of the host.
func (k Keepalive) applyHost(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(k.Idle/time.Second))
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int(k.Interval/time.Second))
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, k.Count)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
}
