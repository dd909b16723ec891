package e2e

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// guestServers answer on ports of the guest, TCP and UDP, with the port.
func guestServers(t *testing.T, g *lab.Guest, ports ...int) {
	t.Helper()
	for _, p := range ports {
		at, text := fmt.Sprintf("0.0.0.0:%d", p), fmt.Sprint(p)
		serveTCP(t, g, at, func(c *net.TCPConn) { io.WriteString(c, text) })
		serveUDP(t, g, at, func(string, netip.AddrPort) string { return text })
	}
}

// answer is what a server of the guest says to a client.
func (c client) answer(network string, port int) (string, error) {
	conn, err := c.dial(network, port)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if network == "udp" {
		conn.Write([]byte("who is there?"))
	}
	b := make([]byte, 100)
	n, err := conn.Read(b)
	return string(b[:n]), err
}

// Published ports lead into the guest from the moment of the ready-fd on: all
// forms of the option, TCP and UDP, IPv4 and IPv6.
func TestPublish(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	guestServers(t, g, 80, 81, 82, 83, 84, 85, 9000)
	s := g.Slirp(t, "-c", "-p", "28100:80", "-p127.0.0.1:28101:81", "--publish=[::1]:28101:82/tcp",
		"--publish", "198.51.100.1:28100:83/udp", "-p", "28102:84/tcp6", "-p", "28110:9000", "-p", "127.0.0.1::85")
	free := regexp.MustCompile(`(?m)^\* Published: +127\.0\.0\.1:(\d+) -> 10\.0\.2\.100:85/tcp$`).FindStringSubmatch(s.Log())
	if free == nil {
		t.Fatalf("no line says which port was free:\n%s", s.Log())
	}
	last, _ := strconv.Atoi(free[1])
	for _, c := range []struct {
		network, to string
		port, guest int // 0: refused
	}{
		{"tcp", "127.0.0.1", 28100, 80},
		{"tcp", "198.51.100.1", 28100, 80},
		{"tcp", "::1", 28100, 80},
		{"tcp", "2001:db8:100::1", 28100, 80},
		{"udp", "198.51.100.1", 28100, 83},
		{"tcp", "127.0.0.1", 28101, 81},
		{"tcp", "::1", 28101, 82},
		{"tcp", "198.51.100.1", 28101, 0},
		{"tcp", "::1", 28102, 84},
		{"tcp", "127.0.0.1", 28102, 0},
		{"tcp", "127.0.0.1", 28110, 9000},
		{"tcp", "127.0.0.1", 28111, 0},
		{"tcp", "127.0.0.1", last, 85},
	} {
		got, err := client{to: c.to}.answer(c.network, c.port)
		if want := fmt.Sprint(c.guest); c.guest != 0 && (err != nil || got != want) || c.guest == 0 && err == nil {
			t.Errorf("%s %s:%d: %q, %v; want %s", c.network, c.to, c.port, got, err, want)
		}
	}
}

// Each of a range of 100 ports leads to its own port of the guest, over TCP and
// UDP, IPv4 and IPv6, whether it was published by the command line or by one
// request; and none beside them. One request ends them all.
func TestPortRange(t *testing.T) {
	t.Parallel()
	const first, guestFirst, count = 28300, 9000, 100
	var ports []int
	for i := range count {
		ports = append(ports, guestFirst+i)
	}
	check := func(t *testing.T, open bool) {
		t.Helper()
		right := 0
		for i := -1; i <= count; i++ {
			for _, to := range []string{"127.0.0.1", "::1"} {
				for _, network := range []string{"tcp", "udp"} {
					want := ""
					if open && i >= 0 && i < count {
						want = fmt.Sprint(guestFirst + i)
					}
					got, err := client{to: to}.answer(network, first+i)
					switch {
					case got != want, (err == nil) != (want != ""):
						t.Errorf("%s to port %d of %s: %q, %v; want %q", network, first+i, to, got, err, want)
					case want != "":
						right++
					}
				}
			}
		}
		if open && right != 4*count {
			t.Errorf("%d of %d were answered", right, 4*count)
		}
	}
	t.Run("--publish", func(t *testing.T) {
		g := lab.NewGuest(t, lab.GuestOptions{})
		guestServers(t, g, ports...)
		spec := fmt.Sprintf("%d-%d:%d-%d", first, first+count-1, guestFirst, guestFirst+count-1)
		g.Slirp(t, "-c", "-p", spec, "-p", spec+"/udp")
		check(t, true)
	})
	t.Run("add_hostfwd", func(t *testing.T) {
		g, s, path := controlled(t)
		guestServers(t, g, ports...)
		before := fds(t, s.Process.Pid)
		var ids []string
		for _, proto := range []string{"tcp", "udp"} {
			got := askAPI(t, path, fmt.Sprintf(`{"execute":"add_hostfwd","arguments":{"proto":%q,"host_addr":"::","host_port":%d,"host_port_end":%d,"guest_port":%d}}`,
				proto, first, first+count-1, guestFirst))
			ids = append(ids, strings.TrimSuffix(strings.TrimPrefix(got, `{"return":{"id":`), "}}"))
		}
		if n := len(listed(t, path)); n != 2 {
			t.Errorf("%d entries, want 2", n)
		}
		// The last request's own may be there for a moment.
		if !eventually(func() bool { return fds(t, s.Process.Pid)-before == 2*count }, false) {
			t.Errorf("%d descriptors, want %d", fds(t, s.Process.Pid)-before, 2*count)
		}
		check(t, true)
		for _, id := range ids {
			if got := askAPI(t, path, fmt.Sprintf(`{"execute":"remove_hostfwd","arguments":{"id":%s,"drain":false}}`, id)); got != `{"return":{}}` {
				t.Errorf("remove %s: %s", id, got)
			}
		}
		check(t, false)
		if !eventually(func() bool { return fds(t, s.Process.Pid) == before }, false) {
			t.Errorf("%d descriptors, there were %d", fds(t, s.Process.Pid), before)
		}
	})
	t.Run("one is taken", func(t *testing.T) {
		_, s, path := controlled(t)
		before := fds(t, s.Process.Pid)
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", first+count-1))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		want := fmt.Sprintf(`{"error":{"desc":"bad request: add_hostfwd: slirp_add_hostfwd failed","cause":"bind 0.0.0.0:%d: address already in use"}}`, first+count-1)
		if got := askAPI(t, path, fmt.Sprintf(`{"execute":"add_hostfwd","arguments":{"proto":"tcp","host_port":%d,"host_port_end":%d,"guest_port":1}}`,
			first, first+count-1)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if n := len(listed(t, path)); n != 0 {
			t.Errorf("%d entries", n)
		}
		if !eventually(func() bool { return fds(t, s.Process.Pid) == before }, false) {
			t.Errorf("%d descriptors, there were %d", fds(t, s.Process.Pid), before)
		}
		for i := range count - 1 {
			free, err := net.Listen("tcp", fmt.Sprintf(":%d", first+i))
			if err != nil {
				t.Errorf("an earlier port is not free: %v", err)
				continue
			}
			free.Close()
		}
	})
}

// A port that cannot be had is an error that names it, with status 1.
func TestPublishFails(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	for option, message := range map[string]string{
		"127.0.0.1:8000:80":         "--publish: bind 127.0.0.1:8000: Address already in use",
		"192.0.2.99:28080:80":       "--publish: bind 192.0.2.99:28080: Cannot assign requested address",
		"127.0.0.1:79:80":           "--publish: bind 127.0.0.1:79: permission denied: it takes CAP_NET_BIND_SERVICE or",
		"127.0.0.1:28080-28081:":    "guest port",
		"127.0.0.1:7990-8005:80-95": "--publish: bind 127.0.0.1:8000: Address already in use",
	} {
		refused(t, g, message, "-c", "-p", option)
	}
	refused(t, g, "bind 127.0.0.1:28080: address already in use: forward 1 has 127.0.0.1:28080/tcp", "-c", "-p", "127.0.0.1:28080:80", "-p", "127.0.0.1:28080:81")
}
