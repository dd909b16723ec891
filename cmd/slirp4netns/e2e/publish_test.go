package e2e

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strconv"
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
	guestServers(t, g, 80, 81, 82, 83, 84, 85, 9000, 9042, 9099)
	s := g.Slirp(t, "-c", "-p", "28100:80", "-p127.0.0.1:28101:81", "--publish=[::1]:28101:82/tcp",
		"--publish", "198.51.100.1:28100:83/udp", "-p", "28102:84/tcp6", "-p", "28110-28209:9000-9099", "-p", "127.0.0.1::85")
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
		{"tcp", "127.0.0.1", 28152, 9042},
		{"tcp", "::1", 28209, 9099},
		{"tcp", "127.0.0.1", 28210, 0},
		{"tcp", "127.0.0.1", last, 85},
	} {
		got, err := client{to: c.to}.answer(c.network, c.port)
		if want := fmt.Sprint(c.guest); c.guest != 0 && (err != nil || got != want) || c.guest == 0 && err == nil {
			t.Errorf("%s %s:%d: %q, %v; want %s", c.network, c.to, c.port, got, err, want)
		}
	}
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
