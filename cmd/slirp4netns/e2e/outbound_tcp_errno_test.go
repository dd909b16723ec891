package e2e

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// What connect(2) says on the host, the guest is told by ICMP, or RST: here by a
// seccomp filter, since a lab has no LSM and no BPF program that refuses with
// EPERM.
func TestTCPErrnoOfConnect(t *testing.T) {
	for _, c := range []struct {
		errno    unix.Errno
		v4, code expectation // of IPv4: the guest's errno, and the message's code
		v6       string      // the guest's errno of IPv6, with ours
	}{
		{unix.EPERM, expectation{"EHOSTUNREACH", "ENETUNREACH"}, expectation{"13", "0"}, "EACCES"},
		{unix.EACCES, expectation{"EHOSTUNREACH", "ENETUNREACH"}, expectation{"13", "0"}, "EACCES"},
		{unix.EHOSTUNREACH, both("EHOSTUNREACH"), both("1"), "EHOSTUNREACH"},
		{unix.ENETUNREACH, both("ENETUNREACH"), both("0"), "ENETUNREACH"},
		{unix.EADDRNOTAVAIL, both("ENETUNREACH"), both("0"), "ENETUNREACH"},
		{unix.ECONNREFUSED, both("ECONNREFUSED"), both(""), "ECONNREFUSED"},
	} {
		for _, ofC := range []bool{false, true} {
			name, binary := "ours", lab.Binary
			if ofC {
				name, binary = "C", lab.Reference
			}
			t.Run(unix.ErrnoName(c.errno)+", "+name, func(t *testing.T) {
				t.Parallel()
				lab.RequireBinary(t)
				refuses := refusal{Call: unix.SYS_CONNECT, Errno: c.errno}
				g, _ := guestOf(t, refusingBinary(t, lab.OrdinaryUID, binary, refuses), lab.OrdinaryUID, "-6")
				const at4, at6 = "198.51.100.2", "2001:db8:100::2"
				wire := sniff(t, g, "tap0", nil)
				c.v4.check(t, "connect", refusedWith(g, "tcp4", at4), ofC)
				code := ""
				eventually(func() bool {
					n, ok := wire.unreachable(at4)
					if ok {
						code = fmt.Sprint(n)
					}
					return ok
				}, c.code.ours == "")
				c.code.check(t, "ICMP destination unreachable", code, ofC)
				if ofC {
					return // ECONNREFUSED of IPv6 makes it crash
				}
				if got := refusedWith(g, "tcp6", at6); got != c.v6 {
					t.Errorf("connect by IPv6: the guest sees %q, want %q", got, c.v6)
				}
			})
		}
	}
}

// refusedWith is the errno of a connect(2) of the guest's, "" if there is none
// within a second.
func refusedWith(g *lab.Guest, network, addr string) string {
	_, err := g.Dial(network, netip.AddrPortFrom(netip.MustParseAddr(addr), 80).String(), time.Second)
	return unix.ErrnoName(errno(err))
}
