package seccomp

import (
	"slices"

	"golang.org/x/sys/unix"
)

// Options are what the rules depend on.
type Options struct {
	// PID is the process's own: signals may be sent to nobody else.
	PID int
	// Directories are the descriptors by which the files of sockets are removed
	// at the end; unix.AT_FDCWD: by their paths, outside of a sandbox.
	Directories []int
	// RawSockets tells that there may be some, for pings (CAP_NET_RAW): each
	// has a filter that lets in its own replies only.
	RawSockets bool
	// OutboundInterface tells that sockets are bound to one (--outbound-addr).
	OutboundInterface bool
}

// Rules are all rules, for all architectures. Those of calls that are made for
// each packet come first.
func Rules(o Options) []Rule {
	return slices.Concat(traffic(o), sockets(o), files(o), runtimeCalls(o))
}

// traffic is what is done for each packet.
func traffic(o Options) []Rule {
	return []Rule{
		{Call: "readv", Why: "frames from the TAP; streams of the host into netstack's buffers"},
		{Call: "writev", Why: "frames to the TAP; streams to the host"},
		{Call: "recvmsg", Why: "datagrams and socket error queues"},
		{Call: "sendmsg", Why: "datagrams; frames to a socket in the TAP's place"},
		{Call: "recvmmsg", Why: "frames from such a socket"},
		{Call: "sendmmsg", Why: "frames that had to wait for room"},
		{Call: "futex", Why: "the runtime's locks"},
		{Call: "epoll_pwait", Why: "the runtime's poller and the data plane's"},
		{Call: "epoll_wait", Why: "the data plane's poller", Only: []string{"amd64", "arm", "ppc64le", "s390x"}},
		{Call: "ioctl", When: either(1, value{"SIOCINQ", unix.SIOCINQ}, value{"SIOCOUTQ", unix.SIOCOUTQ}),
			Why: "how much there is to read from, or still to be sent by, a socket"},
		{Call: "read", Why: "descriptors, among them the runtime's eventfd"},
		{Call: "write", Why: "descriptors, among them the runtime's eventfd, stdout and stderr"},
		{Call: "recvfrom", Why: "streams and datagrams; netlink answers"},
		{Call: "sendto", Why: "streams and datagrams; netlink questions"},
		{Call: "nanosleep", Why: "the runtime's waiting"},
		{Call: "tgkill", When: []Condition{when("to itself", is(0, o.PID))}, Why: "the runtime interrupts threads of its own"},
		{Call: "rt_sigreturn", Why: "the end of a signal handler"},
		{Call: "getpid", Why: "for tgkill"},
		{Call: "epoll_ctl", Why: "sockets come and go"},
		{Call: "close", Why: "sockets come and go"},
	}
}

// sockets is what is done for each flow.
func sockets(o Options) []Rule {
	return []Rule{
		{Call: "socket", When: socketKinds(), Why: "one for each flow, for each forwarded port, and for questions about interfaces"},
		{Call: "socketpair", When: []Condition{when("AF_UNIX, SOCK_STREAM", is(0, unix.AF_UNIX), Arg{1, 0xf, unix.SOCK_STREAM})},
			Why: "the DNS relay's streams"},
		{Call: "connect", Why: "connections of the guest; resolvers"},
		{Call: "bind", Why: "forwarded ports, the outbound address"},
		{Call: "listen", Why: "forwarded ports"},
		{Call: "accept4", Why: "forwarded ports, the control socket, and peers of --target-type=bess"},
		{Call: "shutdown", Why: "the end of one direction"},
		{Call: "getsockname", Why: "the address that a socket was given"},
		{Call: "getpeername", Why: "the address of a client"},
		{Call: "getsockopt", Why: "the error of a connect"},
		{Call: "setsockopt", When: options(o), Why: "TTL, error queues, keepalive and the like"},
		{Call: "fcntl", When: fcntls(), Why: "non-blocking mode; a descriptor for the net package"},
		{Call: "fcntl64", When: fcntls(), Only: []string{"arm"}, Why: "as fcntl"},
		{Call: "socketcall", Only: []string{"s390x"},
			Why: "how Go makes the calls above there; its arguments are in memory, where a filter cannot see them"},
	}
}

// socketKinds are the sockets that we make. The control socket is there
// already, and accepted sockets are not made.
func socketKinds() []Condition {
	// The kernel's flags SOCK_NONBLOCK and SOCK_CLOEXEC come with the type.
	kind := func(text string, family, typ, proto int) Condition {
		return when(text, is(0, family), Arg{1, 0xf, uint64(typ)}, is(2, proto))
	}
	var all []Condition
	for _, f := range []struct {
		name         string
		family, icmp int
		icmpName     string
	}{
		{"AF_INET", unix.AF_INET, unix.IPPROTO_ICMP, "IPPROTO_ICMP"},
		{"AF_INET6", unix.AF_INET6, unix.IPPROTO_ICMPV6, "IPPROTO_ICMPV6"},
	} {
		all = append(all,
			kind(f.name+", SOCK_STREAM, 0", f.family, unix.SOCK_STREAM, 0),
			kind(f.name+", SOCK_STREAM, IPPROTO_TCP", f.family, unix.SOCK_STREAM, unix.IPPROTO_TCP),
			kind(f.name+", SOCK_DGRAM, 0", f.family, unix.SOCK_DGRAM, 0),
			kind(f.name+", SOCK_DGRAM, "+f.icmpName, f.family, unix.SOCK_DGRAM, f.icmp),
			kind(f.name+", SOCK_RAW, "+f.icmpName, f.family, unix.SOCK_RAW, f.icmp))
	}
	return append(all, kind("AF_NETLINK, SOCK_RAW, NETLINK_ROUTE", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE))
}

func fcntls() []Condition {
	return either(1, value{"F_GETFL", unix.F_GETFL}, value{"F_SETFL", unix.F_SETFL},
		value{"F_GETFD", unix.F_GETFD}, value{"F_SETFD", unix.F_SETFD}, value{"F_DUPFD_CLOEXEC", unix.F_DUPFD_CLOEXEC})
}

// files is the little that is done with files.
func files(o Options) []Rule {
	const (
		reading = "resolv.conf, as it changes"
		looking = "whether resolv.conf has changed"
	)
	here := int(unix.AT_FDCWD)
	at := []Condition{when("AT_FDCWD", is(0, here))}
	const readOnly = word &^ (unix.O_CLOEXEC | unix.O_LARGEFILE | unix.O_NONBLOCK | unix.O_DIRECTORY)
	rules := []Rule{
		{Call: "openat", When: []Condition{when("AT_FDCWD, O_RDONLY", is(0, here), Arg{2, readOnly, 0})}, Why: reading},
		{Call: "fstat", Only: sixtyFour, Why: reading},
		{Call: "fstat64", Only: []string{"arm"}, Why: reading},
		{Call: "newfstatat", When: at, Only: sixtyFour, Why: looking},
		{Call: "stat", Only: []string{"ppc64le", "s390x"}, Why: looking},
		{Call: "fstatat64", When: at, Only: []string{"arm"}, Why: looking},
		{Call: "dup3", When: either(1, value{"to 0", 0}, value{"to 1", 1}, value{"to 2", 2}),
			Why: "a ready-fd that is a standard descriptor is replaced after use"},
	}
	var unlink []Condition
	for _, fd := range o.Directories {
		dir := when("a socket's directory", is(0, fd))
		for i := range rules {
			switch rules[i].Call {
			case "newfstatat", "fstatat64":
				rules[i].When = append(slices.Clone(rules[i].When), dir)
			}
		}
		unlink = append(unlink, when(dir.Text, dir.Args[0], is(2, 0)))
	}
	if unlink == nil {
		return rules
	}
	return append(rules, Rule{Call: "unlinkat", When: unlink, Why: "the files of sockets, at the end"})
}
