package e2e

import (
	"fmt"
	"net"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// sourceCase is a client of a forward to port 80 of the guest, where somebody
// tells who he is.
type sourceCase struct {
	client
	listen string
	want   string // the address that is seen; "": the client's own
}

// check makes the forward, to an address of the guest's or the usual one, and
// asks.
func (c sourceCase) check(t *testing.T, path, network, guest string) {
	t.Helper()
	id, port := forwardTo(t, path, network, c.listen, 0, guest, 80)
	// A session that is left may have the next client's port.
	defer askAPI(t, path, fmt.Sprintf(`{"execute":"remove_hostfwd","arguments":{"id":%d,"drain":false}}`, id))
	conn, err := c.dial(network, port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if network == "udp" {
		conn.Write([]byte("who am I?"))
	}
	// A connected UDP socket takes replies only from where it asked.
	b := make([]byte, 100)
	n, err := conn.Read(b)
	want := conn.LocalAddr().String()
	if c.want != "" {
		_, p, _ := net.SplitHostPort(want)
		want = net.JoinHostPort(c.want, p)
	}
	if err != nil || string(b[:n]) != want {
		t.Errorf("seen as %q, %v; want %s", b[:n], err, want)
	}
}

// Who the guest sees, over TCP and UDP, for clients of all kinds. The port is
// always the client's.
func TestHostfwdSource(t *testing.T) {
	host, inet := linkLocal(t, lab.Host, lab.HostLink), linkLocal(t, lab.Inet, lab.InetLink)
	const gateway = "10.0.2.2"
	cases := []sourceCase{
		{client{"loopback", nil, "", "127.0.0.1"}, "127.0.0.1", gateway},
		{client{"another loopback", nil, "127.9.8.7", "127.0.0.5"}, "0.0.0.0", gateway},
		{client{"host's address", nil, "", "198.51.100.1"}, "0.0.0.0", ""},
		{client{"host's address, bound", nil, "198.51.100.1", "198.51.100.1"}, "198.51.100.1", ""},
		{client{"remote", lab.Inet, "", "198.51.100.1"}, "0.0.0.0", ""},
		{client{"remote, dual socket", lab.Inet, "", "198.51.100.1"}, "::", ""},
		{client{"loopback IPv6", nil, "", "::1"}, "::1", gateway},
		{client{"host's IPv6", nil, "", "2001:db8:100::1"}, "::", gateway},
		{client{"remote IPv6", lab.Inet, "", "2001:db8:100::1"}, "2001:db8:100::1", gateway},
		{client{"link-local IPv6", lab.Inet, inet + "%" + lab.InetLink, host + "%" + lab.InetLink}, "::", gateway},
		{client{"link-local IPv6, bound", lab.Inet, inet + "%" + lab.InetLink, host + "%" + lab.InetLink}, host + "%" + lab.HostLink, gateway},
		{client{"IPv6 to a link-local address", lab.Inet, "2001:db8:100::2", host + "%" + lab.InetLink}, "::", gateway},
	}
	for _, flags := range [][]string{nil, {"--disable-host-loopback"}} {
		g, _, path := controlled(t, flags...)
		serveTCP(t, g, "0.0.0.0:80", tellPeer)
		serveUDP(t, g, "0.0.0.0:80", whoami)
		for _, c := range cases {
			for _, network := range []string{"tcp", "udp"} {
				t.Run(network+" "+c.name, func(t *testing.T) { c.check(t, path, network, "") })
			}
		}
	}
}

// Clients inside the guest's own prefix are shown as the gateway: the guest
// would look for them on its own link.
func TestHostfwdClientInGuestPrefix(t *testing.T) {
	addInetAddr(t, "10.0.2.50")
	hostRoute(t, "10.0.2.50/32", "via", "198.51.100.2")
	g, _, path := controlled(t)
	serveTCP(t, g, "0.0.0.0:80", tellPeer)
	serveUDP(t, g, "0.0.0.0:80", whoami)
	for _, network := range []string{"tcp", "udp"} {
		t.Run(network, func(t *testing.T) {
			sourceCase{client{ns: lab.Inet, from: "10.0.2.50", to: "198.51.100.1"}, "0.0.0.0", "10.0.2.2"}.check(t, path, network, "")
		})
	}
}
