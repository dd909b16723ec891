package seccomp

import "golang.org/x/sys/unix"

// options are the socket options that are set: ours, and those of the net
// package for a TCP connection.
func options(o Options) []Condition {
	socket := []value{
		{"SO_LINGER", unix.SO_LINGER}, {"SO_OOBINLINE", unix.SO_OOBINLINE}, {"SO_KEEPALIVE", unix.SO_KEEPALIVE},
		{"SO_REUSEADDR", unix.SO_REUSEADDR},
	}
	if o.OutboundInterface {
		socket = append(socket, value{"SO_BINDTODEVICE", unix.SO_BINDTODEVICE}, value{"SO_BINDTOIFINDEX", unix.SO_BINDTOIFINDEX})
	}
	if o.RawSockets {
		socket = append(socket, value{"SO_ATTACH_FILTER", unix.SO_ATTACH_FILTER})
	}
	var all []Condition
	for _, l := range []struct {
		level int
		names []value
	}{
		{unix.IPPROTO_TCP, []value{
			{"TCP_NODELAY", unix.TCP_NODELAY}, {"TCP_NOTSENT_LOWAT", unix.TCP_NOTSENT_LOWAT},
			{"TCP_KEEPIDLE", unix.TCP_KEEPIDLE}, {"TCP_KEEPINTVL", unix.TCP_KEEPINTVL}, {"TCP_KEEPCNT", unix.TCP_KEEPCNT},
		}},
		{unix.SOL_SOCKET, socket},
		{unix.IPPROTO_IP, []value{
			{"IP_TTL", unix.IP_TTL}, {"IP_TOS", unix.IP_TOS}, {"IP_MTU_DISCOVER", unix.IP_MTU_DISCOVER},
			{"IP_RECVERR", unix.IP_RECVERR}, {"IP_RECVTTL", unix.IP_RECVTTL}, {"IP_PKTINFO", unix.IP_PKTINFO},
			{"IP_MULTICAST_TTL", unix.IP_MULTICAST_TTL}, {"IP_MULTICAST_ALL", unix.IP_MULTICAST_ALL},
			{"IP_BIND_ADDRESS_NO_PORT", unix.IP_BIND_ADDRESS_NO_PORT},
		}},
		{unix.IPPROTO_IPV6, []value{
			{"IPV6_UNICAST_HOPS", unix.IPV6_UNICAST_HOPS}, {"IPV6_TCLASS", unix.IPV6_TCLASS}, {"IPV6_MTU_DISCOVER", unix.IPV6_MTU_DISCOVER},
			{"IPV6_RECVERR", unix.IPV6_RECVERR}, {"IPV6_RECVHOPLIMIT", unix.IPV6_RECVHOPLIMIT}, {"IPV6_RECVPKTINFO", unix.IPV6_RECVPKTINFO},
			{"IPV6_MULTICAST_HOPS", unix.IPV6_MULTICAST_HOPS}, {"IPV6_MULTICAST_ALL", unix.IPV6_MULTICAST_ALL},
			{"IPV6_V6ONLY", unix.IPV6_V6ONLY},
		}},
	} {
		for _, name := range l.names {
			all = append(all, when(name.name, is(1, l.level), is(2, name.n)))
		}
	}
	return all
}
