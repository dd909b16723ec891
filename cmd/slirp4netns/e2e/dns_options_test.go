package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
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

// --disable-dns, IPv4: no resolver of the host is asked. What is sent to the
// nameserver's address leaves the host as to any other, and has the answer of
// who has that address there, or none.
func TestDisableDNS(t *testing.T) {
	const server = "127.0.0.115"
	hostEtc(t, server)
	resolver := serveRawDNS(t, lab.Host, server+":53", func(query []byte, _ bool) []byte {
		return append([]byte{query[0], query[1], 0x80, 0}, query[4:]...)
	})
	g := lab.NewGuest(t, lab.GuestOptions{})
	g.Slirp(t, "-c", "--disable-dns")
	digFails(t, g, "lab.test")
	digFails(t, g, "+tcp", "lab.test")

	inetAddress(t, "10.0.2.3/32")
	there := serveRawDNS(t, lab.Inet, relay, func(query []byte, _ bool) []byte {
		return append([]byte{query[0], query[1], 0x80, 0}, "of another machine"...)
	})
	for i, network := range []string{"udp4", "tcp4"} {
		query := oddQuery(uint16(0xbe20 + i))
		if got := askRaw(t, g, network, relay, query); !bytes.HasSuffix(got, []byte("of another machine")) {
			t.Errorf("%s: %x, want the answer of who has the address", network, got)
		}
		if queries, _ := there.all(); len(queries) != i+1 || !bytes.Equal(queries[i], query) {
			t.Errorf("%s: %d queries arrived there: %x", network, len(queries), queries)
		}
	}
	if queries, _ := resolver.all(); len(queries) != 0 {
		t.Errorf("the host's resolver was asked %d times", len(queries))
	}
	// It is the option that does it.
	g = lab.NewGuest(t, lab.GuestOptions{})
	g.Slirp(t, "-c")
	for i, network := range []string{"udp4", "tcp4"} {
		askRaw(t, g, network, relay, oddQuery(1))
		if queries, _ := resolver.all(); len(queries) != i+1 {
			t.Errorf("without the option, %s: %d queries of %d", network, len(queries), i+1)
		}
	}
}

// The same for IPv6, where the nameserver's address is nobody's: the guest
// learns at once. Neither router advertisements nor DHCPv6 tell of it.
func TestDisableDNSIPv6(t *testing.T) {
	const server = "127.0.0.116"
	hostEtc(t, server)
	resolver := serveRawDNS(t, lab.Host, server+":53", func([]byte, bool) []byte { return nil })
	hostDNS(t, "[::1]:53", "192.0.2.116")
	g, _ := configured6(t, "--disable-dns")
	at := "[" + nameserver6 + "]:53"
	u := newUDP6(t, g)
	u.connect(at)
	u.send(string(oddQuery(1)), "")
	if got, want := u.fault(commandTimeout), "ENETUNREACH 1/0 from fd00::2"; got != want {
		t.Errorf("UDP: %q, want %q", got, want)
	}
	start := time.Now()
	if c, err := g.Dial("tcp6", at, commandTimeout); !errors.Is(err, unix.ENETUNREACH) {
		t.Errorf("TCP: %v, want ENETUNREACH", err)
		if err == nil {
			c.Close()
		}
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("TCP: it took %v", took)
	}
	if queries, _ := resolver.all(); len(queries) != 0 {
		t.Errorf("the host's resolver was asked %d times", len(queries))
	}

	for _, c := range []struct {
		args []string
		told bool
	}{{[]string{"--disable-dns"}, false}, {nil, true}} {
		s := newStation6(t, c.args...)
		me := netip.MustParseAddr("fe80::100")
		from, to := netip.AddrPortFrom(me, 546), netip.AddrPortFrom(netip.MustParseAddr("ff02::1:2"), 547)
		addr := netip.MustParseAddr(nameserver6).AsSlice()
		s.send6(packet6(unix.IPPROTO_UDP, 1, me, to.Addr(), udp6(from, to, []byte{11, 1, 2, 3, 0, 6, 0, 2, 0, 23})))
		f := s.answerFrame6(true)
		if f == nil || f.proto != unix.IPPROTO_UDP || !bytes.HasPrefix(f.msg[8:], []byte{7, 1, 2, 3}) {
			t.Fatalf("%v: DHCPv6: %v", c.args, f)
		}
		if got := bytes.Contains(f.msg, addr); got != c.told {
			t.Errorf("%v: DHCPv6 tells of the nameserver: %t, want %t", c.args, got, c.told)
		}
		s.send6(packet6(unix.IPPROTO_ICMPV6, neighbourHops, me, allRouters6, icmp6(routerSolicitation, 0, me, allRouters6, make([]byte, 4))))
		f = s.answerFrame6(true)
		if f == nil || f.msg[0] != routerAdvertisement {
			t.Fatalf("%v: router solicitation: %v", c.args, f)
		}
		if got := bytes.Contains(f.msg, addr); got != c.told {
			t.Errorf("%v: the router tells of the nameserver: %t, want %t", c.args, got, c.told)
		}
	}
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
