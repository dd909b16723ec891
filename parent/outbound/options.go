package outbound

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// Keepalive towards the guest. A guest's process that was killed while its
// connection was half-closed sends nothing more; its kernel answers the probe
// with RST. The first probe goes out after keepIdle without a segment, and
// the connection ends after keepCount of them without an answer.
const (
	keepIdle     = 2 * time.Minute
	keepInterval = 15 * time.Second
	keepCount    = 4
)

func setEndpointOptions(ep tcpip.Endpoint) {
	opts := ep.SocketOptions()
	opts.SetDelayOption(false) // the host's peer has decided on segments
	opts.SetKeepAlive(true)
	idle, interval := tcpip.KeepaliveIdleOption(keepIdle), tcpip.KeepaliveIntervalOption(keepInterval)
	_ = ep.SetSockOpt(&idle)
	_ = ep.SetSockOpt(&interval)
	_ = ep.SetSockOptInt(tcpip.KeepaliveCountOption, keepCount)
}
