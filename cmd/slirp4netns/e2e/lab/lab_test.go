package lab_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

const limit = 5 * time.Second

// names are the links of the current network namespace.
func names(t *testing.T) string {
	t.Helper()
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	var s []string
	for _, l := range links {
		s = append(s, l.Attrs().Name)
	}
	return strings.Join(s, " ")
}

func TestHostHasOnlyLoAndVeth(t *testing.T) {
	// A kernel may add fallback tunnels (sit0, tunl0) to new namespaces
	// (net.core.fb_tunnels_only_for_init_net); they lead nowhere, and are down.
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		a := l.Attrs()
		if a.Name != "lo" && a.Name != lab.HostLink && a.Flags&net.FlagUp != 0 {
			t.Errorf("%s is up: it may lead out of the machine", a.Name)
		}
	}
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		if l, err := netlink.LinkByIndex(r.LinkIndex); err != nil || l.Attrs().Name != lab.HostLink {
			t.Errorf("route %v does not go to %s", r, lab.HostLink)
		}
	}
}

func TestServers(t *testing.T) {
	for _, addr := range []string{"198.51.100.2:80", "[2001:db8:100::2]:80"} {
		if got := get(t, "http://"+addr+"/"); got != lab.InetPage {
			t.Errorf("%s: %q", addr, got)
		}
	}
	for _, addr := range []string{"127.0.0.1:8000", "[::1]:8000"} {
		if got := get(t, "http://"+addr+"/"); got != lab.HostPage {
			t.Errorf("%s: %q", addr, got)
		}
	}
	const size = 300_001
	want, err := lab.SHA256(lab.Stream(size))
	if err != nil {
		t.Fatal(err)
	}
	body := get(t, fmt.Sprintf("http://198.51.100.2/bytes/%d", size))
	if got, _ := lab.SHA256(strings.NewReader(body)); got != want || len(body) != size {
		t.Errorf("/bytes: %d bytes with SHA-256 %s, want %d with %s", len(body), got, size, want)
	}
	resp, err := http.Post("http://198.51.100.2/upload", "", lab.Stream(size))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, _ := io.ReadAll(resp.Body); string(got) != want {
		t.Errorf("/upload: %s, want %s", got, want)
	}
}

// get is the body of a page.
func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	return string(body)
}

func TestStreamBlocksDiffer(t *testing.T) {
	b, err := io.ReadAll(lab.Stream(256 << 10))
	if err != nil {
		t.Fatal(err)
	}
	if s := string(b); s[:64<<10] == s[64<<10:128<<10] {
		t.Error("the first two blocks are equal")
	}
}

func TestEcho(t *testing.T) {
	for _, addr := range []string{"198.51.100.2", "2001:db8:100::2", "127.0.0.1", "::1"} {
		for _, network := range []string{"tcp", "udp"} {
			c, err := net.DialTimeout(network, net.JoinHostPort(addr, "7"), limit)
			if err != nil {
				t.Fatal(err)
			}
			c.SetDeadline(time.Now().Add(limit))
			fmt.Fprint(c, "ping")
			got := make([]byte, 4)
			if _, err := io.ReadFull(c, got); err != nil || string(got) != "ping" {
				t.Errorf("%s %s: %q, %v", network, addr, got, err)
			}
			c.Close()
		}
	}
}

func TestDNS(t *testing.T) {
	// By the resolver of this process, so by /etc/resolv.conf.
	addrs, err := net.DefaultResolver.LookupNetIP(t.Context(), "ip", lab.Domain)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[netip.Addr]bool)
	for _, a := range addrs {
		found[a.Unmap()] = true
	}
	if len(found) != 2 || !found[lab.InetAddr4] || !found[lab.InetAddr6] {
		t.Errorf("%s is %v", lab.Domain, addrs)
	}
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(lab.BigDomain), dns.TypeTXT)
	for _, network := range []string{"udp", "tcp"} {
		r, _, err := (&dns.Client{Net: network}).Exchange(q, "198.51.100.2:53")
		if err != nil {
			t.Fatal(err)
		}
		if r.Truncated != (network == "udp") {
			t.Errorf("%s over %s: truncated %v", lab.BigDomain, network, r.Truncated)
		}
	}
}

func TestDeadAddressIsSilent(t *testing.T) {
	_, err := net.DialTimeout("tcp", "192.0.2.1:80", 300*time.Millisecond)
	if ne, ok := err.(net.Error); !ok || !ne.Timeout() {
		t.Errorf("192.0.2.1: %v, want a time-out", err)
	}
}

func TestGuestHasNoWayOut(t *testing.T) {
	for name, o := range map[string]lab.GuestOptions{
		"user maps root":              {},
		"user maps himself":           {Kind: lab.MapCurrent},
		"root maps root":              {Root: true},
		"root without user namespace": {Kind: lab.NoUserNS, Root: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := lab.NewGuest(t, o)
			err := g.Do(func() error {
				if got := names(t); !strings.HasPrefix(got, "lo") || strings.Contains(got, lab.HostLink) {
					t.Errorf("links: %s", got)
				}
				routes, err := netlink.RouteList(nil, netlink.FAMILY_ALL)
				if len(routes) != 0 {
					t.Errorf("routes: %v", routes)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
			if c, err := g.Dial("tcp", "198.51.100.2:80", limit); err == nil {
				c.Close()
				t.Error("the guest reaches inet without slirp4netns")
			}
			// Both ways in lead to the same namespace, apart from ours.
			inside := g.Run(t, limit, "readlink", "/proc/self/ns/net")
			holder, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", g.PID))
			if err != nil {
				t.Fatal(err)
			}
			ours, err := os.Readlink("/proc/self/ns/net")
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimSpace(inside) != holder || holder == ours {
				t.Errorf("inside %s, holder %s, host %s", inside, holder, ours)
			}
		})
	}
}

func TestOrdinaryUserHasNoPower(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	out, err := lab.Command(ctx, lab.OrdinaryUID, "sh", "-c",
		"id -u; grep CapEff /proc/self/status; test -w /dev/net/tun && echo tun; ip link set lo down 2>/dev/null || echo refused").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := "12345\nCapEff:\t0000000000000000\ntun\nrefused\n"
	if string(out) != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestOrphansAreReaped(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	out, err := lab.Command(ctx, 0, "sh", "-c", "sh -c 'sleep 0.1 >/dev/null 2>&1 & echo $!'").Output()
	if err != nil {
		t.Fatal(err)
	}
	stat := "/proc/" + strings.TrimSpace(string(out)) + "/stat"
	for start := time.Now(); time.Since(start) < limit; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(stat); err != nil {
			return
		}
	}
	t.Errorf("%s is still there", stat)
}

func TestNameserverOfGuest(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	g.Nameserver(t, "10.0.2.3")
	if got := g.Run(t, limit, "cat", "/etc/resolv.conf"); got != "nameserver 10.0.2.3\n" {
		t.Errorf("guest: %q", got)
	}
	host, err := os.ReadFile("/etc/resolv.conf")
	if err != nil || !strings.Contains(string(host), "198.51.100.2") {
		t.Errorf("host: %q, %v", host, err)
	}
}
