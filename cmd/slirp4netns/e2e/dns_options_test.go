package e2e

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// --dns chooses other resolvers, on loopback too.
func TestDNSOption(t *testing.T) {
	hostDNS(t, "127.0.0.1:5301", "192.0.2.1")
	hostDNS(t, "[::1]:5302", "192.0.2.2")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--dns=127.0.0.1:5301,[::1]:5302"}, "192.0.2.1"},
		{[]string{"--dns=[::1]:5302", "--dns=127.0.0.1:5301"}, "192.0.2.2"},
		{[]string{"--dns", "127.0.0.1:5301", "--disable-host-loopback"}, "192.0.2.1"},
		{[]string{"--dns=127.0.0.1:5301", "--dns-loopback=on"}, "192.0.2.1"},
		{[]string{"--dns=127.0.0.1:5301," + lab.InetAddr4.String(), "--dns-loopback=off"}, lab.InetAddr4.String()},
		{[]string{"--dns=" + lab.InetAddr6.String()}, lab.InetAddr4.String()},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			g := lab.NewGuest(t, lab.GuestOptions{})
			g.Slirp(t, append([]string{"-c"}, c.args...)...)
			for _, network := range []string{"udp4", "tcp4"} {
				if got, _, err := queryA(g, network, lab.Domain, 5*time.Second); err != nil || got != c.want {
					t.Errorf("%s: %s, %v, want %s", network, got, err, c.want)
				}
			}
		})
	}
}

// With --dns-loopback=off a resolver there gets nothing, and the guest knows
// at once.
func TestDNSLoopbackOff(t *testing.T) {
	for _, addr := range []string{"127.0.0.1", "127.0.0.53", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"} {
		t.Run(addr, func(t *testing.T) {
			hostEtc(t, addr)
			if addr == "127.0.0.1" {
				hostDNS(t, "127.0.0.1:53", "192.0.2.1")
			}
			g := lab.NewGuest(t, lab.GuestOptions{})
			g.Slirp(t, "-c", "--dns-loopback=off")
			start := time.Now()
			for network, want := range map[string]error{"udp4": unix.ECONNREFUSED, "tcp4": unix.ENETUNREACH} {
				got, _, err := queryA(g, network, lab.Domain, 5*time.Second)
				if !errors.Is(err, want) {
					t.Errorf("%s: %s, %v, want %v", network, got, err, want)
				}
			}
			if d := time.Since(start); d > 2*time.Second {
				t.Errorf("it took %v to be told", d)
			}
		})
	}
}

// --host-name gives the gateway names, whatever the case and the transport.
func TestDNSHostName(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	g.Slirp(t, "-c", "--host-name=host.containers.internal", "--host-name", "gw")
	g.Nameserver(t, "10.0.2.3")
	const name = "host.containers.internal"
	for _, c := range []struct {
		args string
		want string // is in the output
	}{
		{"+short " + name, "10.0.2.2\n"},
		{"+short HOST.Containers.internal", "10.0.2.2\n"},
		{"+short +tcp gw", "10.0.2.2\n"},
		{"+edns=0 " + name, "EDNS: version: 0"},
		{"+noedns " + name, "ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 0"},
		{name + " AAAA", "status: NOERROR, id: "},
		{name + " AAAA", "ANSWER: 0"},
		{name + " HTTPS", "ANSWER: 0"},
		{"+short lab.test", lab.InetAddr4.String()},
		{"+tcp +keepopen +short lab.test gw lab.test", lab.InetAddr4.String() + "\n10.0.2.2\n" + lab.InetAddr4.String()},
		{"not." + name, "NXDOMAIN"},
	} {
		if got := dig(t, g, "10.0.2.3", strings.Fields(c.args)...); !strings.Contains(got, c.want) {
			t.Errorf("dig %s: %s\nwant %q in it", c.args, got, c.want)
		}
	}
	if got := curl(t, g, "http://"+name+":8000/"); got != lab.HostPage {
		t.Errorf("the host's page: %q", got)
	}
	if got := g.Run(t, commandTimeout, "busybox", "wget", "-q", "-O", "-", "http://"+name+":8000/"); got != lab.HostPage {
		t.Errorf("the host's page by busybox: %q", got)
	}
}

// --disable-dns: nobody answers at the nameserver's address.
func TestDisableDNS(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	g.Slirp(t, "-c", "--disable-dns")
	digFails(t, g, "lab.test")
	digFails(t, g, "+tcp", "lab.test")
}

// A storm of queries from ports of their own is answered, and leaves nothing
// behind: the sockets are few, and soon gone.
func TestDNSStorm(t *testing.T) {
	const queries = 3000
	hostDNS(t, "127.0.0.1:5353", "192.0.2.7")
	g := lab.NewGuest(t, lab.GuestOptions{})
	s := g.Slirp(t, "-c", "--dns=127.0.0.1:5353")
	fds := func() int {
		list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before, most := fds(), 0
	start := time.Now()
	for i := range queries {
		if _, _, err := queryA(g, "udp4", lab.Domain, 5*time.Second); err != nil {
			t.Fatalf("query %d: %v", i, err)
		}
		if i%100 == 0 {
			most = max(most, fds())
		}
	}
	t.Logf("%d queries in %v, %d descriptors at most", queries, time.Since(start), most)
	if most > before+1024 {
		t.Errorf("%d descriptors, and %d before", most, before)
	}
	for deadline := time.Now().Add(10 * time.Second); fds() > before; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors, and %d before", fds(), before)
		}
	}
}
