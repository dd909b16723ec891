package main

import (
	"io"
	"strings"

	"github.com/slirp4netns-go/slirp4netns/seccomp"
)

// usage is the help text. Podman, RootlessKit and others search it for the
// options that they would like to use, so an option that is listed works.
const usage = `Usage: PROGRAM [OPTION]... PID|PATH|FD [TAPNAME]
User-mode networking for unprivileged network namespaces.

-c, --configure          bring up the interface
-e, --exit-fd=FD         specify the FD for terminating slirp4netns
-r, --ready-fd=FD        specify the FD to write to when the network is configured
-m, --mtu=MTU            specify MTU (default=1500, max=65521)
-6, --enable-ipv6        enable IPv6 (experimental)
-a, --api-socket=PATH    specify API socket path
--cidr=CIDR              specify network address CIDR (default=10.0.2.0/24)
--disable-host-loopback  prohibit connecting to 127.0.0.1:* on the host namespace
--netns-type=TYPE ` + "\t" + ` specify network namespace type ([path|pid|tapfd], default=pid)
--userns-path=PATH` + "\t" + ` specify user namespace path
--enable-sandbox         create a new mount namespace (and drop all caps except CAP_NET_BIND_SERVICE if running as the root)
--enable-seccomp         enable seccomp to limit syscalls (experimental)
--outbound-addr=IPv4     sets outbound ipv4 address to bound to (experimental)
--outbound-addr6=IPv6    sets outbound ipv6 address to bound to (experimental)
--disable-dns            disables 10.0.2.3 (or configured internal ip) to host dns redirect (experimental)
--macaddress=MAC         specify the MAC address of the TAP (only valid with -c)
--target-type=TYPE       specify the target type ([netns|bess], default=netns)
-h, --help               show this help and exit
-v, --version            show version and exit
`

// ownUsage lists the options that the C program does not have.
const ownUsage = `--cidr6=CIDR             specify IPv6 network address CIDR, of 64 bits (default=fd00::/64)
--dns=ADDR[,ADDR...]     ask these resolvers instead of those of resolv.conf; ADDR may be ADDR:PORT
--dns-loopback=on|off    ask resolvers on the loopback addresses of the host (default=on)
--host-name=NAME         let the built-in DNS answer NAME with the gateway's address, e.g. host.containers.internal
-p, --publish=[ADDR:][PORT]:GUESTPORT[/PROTO]  forward a port of the host, or a range (PROTO: [tcp|udp], default=tcp)
--api-socket-mode=MODE   permissions of the API socket in octal (default=600)
--seccomp-action=ACTION  what --enable-seccomp does on other syscalls ([kill|errno|log], default=kill)
`

// helpText leaves out the options of the seccomp filter where there is none for
// the architecture: callers pass what is advertised.
func helpText(filter bool) string {
	var kept strings.Builder
	for line := range strings.Lines(usage + ownUsage) {
		if filter || !strings.Contains(line, "seccomp") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// writeUsage prints the help text for a program that was called by this name.
// A stdout that is closed or full does not matter, as in the C program.
func writeUsage(w io.Writer, program string) {
	io.WriteString(w, strings.Replace(helpText(seccomp.Supported), "PROGRAM", program, 1))
}
