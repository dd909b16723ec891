package dataplane

import "golang.org/x/sys/unix"

// limits are how many flows of each kind may have a socket of the host. What
// the others leave, half of all at least, is for TCP: a port scan, a storm of
// queries or a flood of pings takes no descriptor that a connection needs, and
// no number of connections one that they need.
type limits struct{ udp, dns, ping, tcp int }

const (
	// reserved descriptors are for what is no flow: the TAP, ready-fd,
	// exit-fd, resolv.conf.
	reserved = 48

	// No table is larger than this, whatever the limit.
	mostUDP  = 8192
	mostDNS  = 1024
	mostPing = 512
	mostTCP  = 65536 // as many as a guest's address has ports
	// mostPorts is for all ports of a protocol and address.
	mostPorts = 65536
	// mostForwarded is for connections to them.
	mostForwarded = 16384
	// mostClients is for those of the control socket: some 12 KiB each.
	mostClients = 256
	// mostPeers is for those of the switch. Each may have half a MiB of
	// frames waiting, and more while there is some to share: see framesock.
	mostPeers = 128
)

// limitsOf shares out n descriptors.
func limitsOf(n uint64) limits {
	n -= min(n, reserved)
	share := func(part, most uint64) int { return int(max(1, min(n/part, most))) }
	l := limits{udp: share(4, mostUDP), dns: share(8, mostDNS), ping: share(16, mostPing)}
	others := uint64(l.udp + l.dns + l.ping)
	l.tcp = int(max(1, min(n-min(n, others), mostTCP)))
	return l
}

// forwarding shares out n descriptors to forwarded ports, which the user asks
// for and may have half of, and to the connections of their clients, which
// leave more than half of the rest to the guest.
func forwarding(n uint64) (ports, conns int) {
	n -= min(n, reserved)
	return int(max(1, min(n/2, mostPorts))), int(max(1, min(n/4, mostForwarded)))
}

// Clients is how many clients of the control socket there may be at once.
func Clients() int { return clients(descriptors()) }

// clients shares out n descriptors to them.
func clients(n uint64) int {
	n -= min(n, reserved)
	return int(max(1, min(n/8, mostClients)))
}

// Peers is how many peers of the switch there may be at once.
func Peers() int {
	n := descriptors()
	n -= min(n, reserved)
	return int(max(1, min(n/8, mostPeers)))
}

// descriptors is how many file descriptors this process may have
// (RLIMIT_NOFILE, getrlimit(2)). The os package has raised it to the hard
// limit when the process started.
func descriptors() uint64 {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 1024 // what the kernel gives to init
	}
	return r.Cur
}
