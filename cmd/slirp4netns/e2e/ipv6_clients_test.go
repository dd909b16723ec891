package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// What programs of the guest that speak IPv6 see.
func TestIPv6Clients(t *testing.T) {
	g, _ := configured6(t)
	inet := lab.InetAddr6.String()
	for _, c := range []struct {
		command string
		want    []string // all are in the output
	}{
		{"ping -6 -c2 -i0.2 " + gateway6, []string{" 0% packet loss"}},
		{"ping -6 -c2 -i0.2 " + nameserver6, []string{" 0% packet loss"}},
		{"ping -6 -c2 -i0.2 " + router6 + "%tap0", []string{" 0% packet loss"}},
		{"ping -6 -c2 -i0.2 " + inet, []string{" 0% packet loss", "ttl=63"}},
		{"traceroute -6 -n -w2 -q1 -m4 " + inet, []string{" 1  " + gateway6 + " ", " 2  " + inet + " "}},
		{"traceroute -6 -I -n -w2 -q1 -m4 " + inet, []string{" 1  " + gateway6 + " ", " 2  " + inet + " "}},
		{"rdisc6 -1 -w 3000 tap0", []string{
			"Router lifetime           :         1800 ", "Source link-layer address: 52:56:00:00:00:02",
			"MTU                      :         1500 bytes", "Prefix                   : fd00::/64",
			"Valid time              :        86400 ", "Pref. time              :        14400 ",
			"Recursive DNS server     : fd00::3", "DNS server lifetime     :         1800 ", " from fe80::2"}},
		{"ndisc6 -1 -w 3000 fe80::2 tap0", []string{"52:56:00:00:00:02"}},
		{"ndisc6 -1 -w 3000 fd00::2 tap0", []string{"52:56:00:00:00:02"}},
		{"dig @fd00::3 +short lab.test A", []string{lab.InetAddr4.String()}},
		{"dig @fd00::3 +short lab.test AAAA", []string{inet}},
		{"dig @fd00::3 +tcp +short lab.test AAAA", []string{inet}},
		{"dig @fd00::3 +bufsize=512 big.lab.test TXT", []string{"TCP"}},
		{"dig @fd00::3 +notcp +bufsize=4096 big.lab.test TXT", []string{"MSG SIZE  rcvd: 4"}},
		{"dhclient -6 -S -1 -d -v -sf /bin/true -lf /dev/null -pf /dev/null tap0", nil}, // it exits when it is answered
	} {
		f := strings.Fields(c.command)
		got := g.Run(t, commandTimeout, f[0], f[1:]...)
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %s\nwant %q in it", c.command, got, want)
			}
		}
	}
}

// Of the guest's prefix the gateway alone leads to the host's loopback.
func TestIPv6HostLoopback(t *testing.T) {
	for _, c := range []struct {
		args []string
		open string
	}{
		{nil, gateway6},
		{[]string{"--disable-host-loopback"}, ""},
		{[]string{"--disable-host-loopback", "--disable-dns"}, ""},
	} {
		g, _ := configured6(t, c.args...)
		// Our link answers for none of the addresses that are not ours: a
		// neighbour that is made up brings the packets to us all the same.
		for _, a := range []string{"fd00::1", "fd00::2", "fd00::3", "fd00::5", "fd00::ffff"} {
			g.Run(t, commandTimeout, "ip", "neigh", "replace", a, "lladdr", "52:56:00:00:00:02", "dev", "tap0")
			conn, err := g.Dial("tcp6", "["+a+"]:8000", 2*time.Second)
			if err == nil {
				conn.Close()
			}
			if want := a == c.open; (err == nil) != want {
				t.Errorf("%v: connection to %s: %v", c.args, a, err)
			}
			if got, want := echo6(t, g, "["+a+"]:7", 10), a == c.open; (got == "10 bytes") != want {
				t.Errorf("%v: datagram to %s: %q", c.args, a, got)
			}
		}
	}
}

// Where the host has no way out by IPv6 the guest knows at once, and programs go
// on to IPv4.
func TestIPv6NoneOnTheHost(t *testing.T) {
	const atOnce = 200 * time.Millisecond
	for name, take := range map[string]func(t *testing.T){
		"no IPv6": func(t *testing.T) {
			t.Cleanup(func() { restoreHostIPv6(t) }) // after the kernel has it again
			lab.Host.Sysctl(t, "net.ipv6.conf."+lab.HostLink+".disable_ipv6", "1")
		},
		"no default route": func(t *testing.T) {
			t.Cleanup(func() { restoreHostIPv6(t) })
			onHost(t, "ip", "-6", "route", "del", "default")
			onHost(t, "ip", "-6", "addr", "del", lab.HostAddr6.String()+"/64", "dev", lab.HostLink)
		},
	} {
		t.Run(name, func(t *testing.T) {
			take(t)
			g, _ := configured6(t)
			g.Nameserver(t, "10.0.2.3")
			to := netip.AddrPortFrom(lab.InetAddr6, lab.HTTPPort).String()
			var longest time.Duration
			for range 10 {
				start := time.Now()
				_, err := g.Dial("tcp6", to, commandTimeout)
				longest = max(longest, time.Since(start))
				if errno(err) != unix.ENETUNREACH {
					t.Errorf("TCP: %v, want ENETUNREACH", err)
				}
				s := newUDP6(t, g)
				s.connect(to)
				start = time.Now()
				s.send("hi", "")
				got := s.fault(commandTimeout)
				longest = max(longest, time.Since(start))
				if want := "ENETUNREACH 1/0 from " + gateway6; got != want {
					t.Errorf("UDP: %q, want %q", got, want)
				}
			}
			t.Logf("the longest of 20 took %v", longest)
			if longest > atOnce {
				t.Errorf("the longest of 20 took %v, want at most %v", longest, atOnce)
			}
			if got, want := pingSays(t, g, "-6", lab.InetAddr6.String()), gateway6+": Destination unreachable: No route"; got != want {
				t.Errorf("ping: %q, want %q", got, want)
			}
			// Both addresses, of which curl tries that of IPv6 first.
			out := g.Run(t, commandTimeout, "curl", "-sSv", "-w", "%{remote_ip} %{time_namelookup} %{time_connect}", "-o", "/dev/null", "http://lab.test/")
			var ip string
			var lookup, connect float64
			if _, err := fmt.Sscan(out, &ip, &lookup, &connect); err != nil || ip != lab.InetAddr4.String() {
				t.Fatalf("curl: %q, %v", out, err)
			}
			if took := time.Duration((connect - lookup) * float64(time.Second)); took > atOnce {
				t.Errorf("curl is connected by IPv4 after %v, want at most %v", took, atOnce)
			}
		})
	}
}

// restoreHostIPv6 gives the host back what disabling IPv6 has removed.
func restoreHostIPv6(t *testing.T) {
	t.Helper()
	for _, args := range [][]string{
		{"-6", "addr", "replace", lab.HostAddr6.String() + "/64", "dev", lab.HostLink, "nodad"},
		{"-6", "route", "replace", "default", "via", lab.InetAddr6.String()},
	} {
		if out, err := lab.Command(context.Background(), 0, "ip", args...).CombinedOutput(); err != nil {
			t.Errorf("ip %v: %v: %s", args, err, out)
		}
	}
	// The kernel uses it some time after that: until one comes back, 5 s at most.
	if out, err := lab.Command(context.Background(), 0, "ping", "-6", "-c1", "-i0.2", "-w5", lab.InetAddr6.String()).CombinedOutput(); err != nil {
		t.Errorf("ping: %v: %s", err, out)
	}
}

// The guest's kernel may not have it.
func TestIPv6DisabledInTheGuest(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	g.Sysctl(t, "net.ipv6.conf.default.disable_ipv6", "1")
	s := g.Slirp(t, "-c", "-6")
	if !eventually(func() bool { return strings.Contains(s.Log(), "WARNING: tap0 has no IPv6: ") }, false) {
		t.Errorf("no warning: %s", s.Log())
	}
	if got := curl(t, g, "-4", "http://198.51.100.2/"); got != lab.InetPage {
		t.Errorf("page: %q", got)
	}
}
