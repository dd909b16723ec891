package main

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slirp4netns-go/slirp4netns/parent"
	"github.com/slirp4netns-go/slirp4netns/seccomp"
)

// TestConfig: what reaches the parent. The lab's lo is up.
func TestConfig(t *testing.T) {
	usual := func(change func(*parent.Config)) parent.Config {
		c := parent.Config{
			Target:  parent.Target{Kind: parent.TargetPID, PID: 7},
			TapName: "tap0",
			ReadyFD: -1,
			ExitFD:  -1,
			MTU:     1500,
			Network: netip.MustParsePrefix("10.0.2.0/24"),

			Network6:      netip.MustParsePrefix("fd00::/64"),
			SeccompAction: seccomp.Kill,
			APISocketMode: 0o600,
			Version:       version,
		}
		change(&c)
		return c
	}
	for args, want := range map[string]parent.Config{
		"7 tap0": usual(func(*parent.Config) {}),
		"-cp 8080:80 --publish=127.0.0.1:53:53/udp --api-socket-mode=660 7 tap0": usual(func(c *parent.Config) {
			c.Configure, c.APISocketMode = true, 0o660
			c.Publish = []parent.Publish{
				{Network: "tcp", Host: netip.MustParseAddrPort("[::]:8080"), GuestPort: 80},
				{Network: "udp", Host: netip.MustParseAddrPort("127.0.0.1:53"), GuestPort: 53},
			}
		}),
		"7 averyveryveryverylong": usual(func(c *parent.Config) { c.TapName = "averyveryveryve" }),
		"-c6r3 --exit=4 -m 65520 7 tap0": usual(func(c *parent.Config) {
			c.Configure, c.EnableIPv6, c.ReadyFD, c.ExitFD, c.MTU = true, true, 3, 4, 65520
		}),
		"--cidr6=fd5b:1:2:3::/64 -6 7 tap0": usual(func(c *parent.Config) {
			c.EnableIPv6, c.Network6 = true, netip.MustParsePrefix("fd5b:1:2:3::/64")
		}),
		"--no-host-loopback --disable-dns --create-sandbox --enable-seccomp 7 tap0": usual(func(c *parent.Config) {
			c.DisableHostLoopback, c.DisableDNS, c.Sandbox, c.Seccomp = true, true, true, true
		}),
		"--disable-host-loopback --enable-sandbox -a /x --cidr 10.128.0.0/9 7 tap0": usual(func(c *parent.Config) {
			c.DisableHostLoopback, c.Sandbox, c.APISocket = true, true, "/x"
			c.Network = netip.MustParsePrefix("10.128.0.0/9")
		}),
		`--api-socket="x" 7 tap0`: usual(func(c *parent.Config) { c.APISocket = `"x"` }),
		"--netns-type=path --userns-path=/proc / tap0": usual(func(c *parent.Config) {
			c.Target = parent.Target{Kind: parent.TargetPath, Path: "/", UserNS: "/proc"}
		}),
		"--netns-type=tapfd 3": usual(func(c *parent.Config) {
			c.Target, c.TapName = parent.Target{Kind: parent.TargetTapFD, FD: 3}, ""
		}),
		"--target-type=bess /x.sock": usual(func(c *parent.Config) {
			c.Target, c.TapName = parent.Target{Kind: parent.TargetBESS, Path: "/x.sock"}, ""
		}),
		"-c --macaddress=0xA:0b:1 7 tap0": usual(func(c *parent.Config) {
			c.Configure, c.MAC = true, net.HardwareAddr{0x0a, 0x0b, 1, 0, 0, 0}
		}),
		"-c --macaddress=aa-bb-cc-dd-ee-ff 7 tap0": usual(func(c *parent.Config) {
			c.Configure, c.MAC = true, net.HardwareAddr{0xaa, 0, 0, 0, 0, 0}
		}),
		"--outbound-addr=192.0.2.1 --outbound-addr6=2001:db8::1 7 tap0": usual(func(c *parent.Config) {
			c.Outbound4.Addr = netip.MustParseAddr("192.0.2.1")
			c.Outbound6.Addr = netip.MustParseAddr("2001:db8::1")
		}),
		"--outbound-addr=lo --outbound-addr6=lo 7 tap0": usual(func(c *parent.Config) {
			c.Outbound4 = parent.Outbound{Addr: netip.MustParseAddr("127.0.0.1"), Interface: "lo"}
			c.Outbound6 = parent.Outbound{Addr: netip.MustParseAddr("::1"), Interface: "lo"}
		}),
		"--outbound-addr6=lo 7 tap0": usual(func(c *parent.Config) {
			c.Outbound6 = parent.Outbound{Addr: netip.MustParseAddr("::1"), Interface: "lo"}
		}),
	} {
		var stderr strings.Builder
		got, status := readCommandLine(append([]string{"slirp4netns"}, strings.Fields(args)...), io.Discard, &stderr)
		if got == nil {
			t.Errorf("%s: status %d, stderr %q", args, status, stderr.String())
			continue
		}
		equalAddrs := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
		equalPrefixes := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
		equalPorts := cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })
		if diff := cmp.Diff(want, *got, equalAddrs, equalPrefixes, equalPorts); diff != "" {
			t.Errorf("%s (-want +got):\n%s", args, diff)
		}
	}
}

// A link-local address is of no use without its interface.
func TestInterfaceAddrs(t *testing.T) {
	if got := interfaceAddrs("nosuchinterface"); got != nil {
		t.Errorf("an interface that does not exist has %v", got)
	}
	found := false
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, ifi := range interfaces {
		for _, a := range interfaceAddrs(ifi.Name) {
			if a.Is4In6() {
				t.Errorf("%s: %v is IPv4 in the form of IPv6", ifi.Name, a)
			}
			if a.IsLinkLocalUnicast() {
				found = true
				if a.Zone() != ifi.Name {
					t.Errorf("%s: %v has zone %q", ifi.Name, a, a.Zone())
				}
			}
		}
	}
	if !found {
		t.Error("the lab's host has no link-local address")
	}
}
