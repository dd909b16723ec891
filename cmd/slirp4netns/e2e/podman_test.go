package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// wait is what a container does that has nothing to do.
const wait = "exec sleep 600"

// look is what a container sees of its network. The gateway is its argument.
const look = `
echo "addr $(ip -4 -o addr show dev tap0 | sed 's/.*inet \([^ ]*\).*/\1/')"
echo "mtu $(ip link show dev tap0 | sed -n 's/.* mtu \([0-9]*\) .*/\1/p')"
echo "dns $(sed -n '1s/nameserver //p' /etc/resolv.conf)"
echo "name $(wget -qO- http://lab.test/)"
echo "source $(wget -qO- http://198.51.100.2/client | sed 's/:[0-9]*$//')"
echo "source6 $(wget -qO- 'http://[2001:db8:100::2]/client' | sed 's/:[0-9]*$//')"
echo "loopback $(wget -qO- http://%s:8000/ 2>&1)"
`

// TestPodmanOptions is what containers see with the options that Podman has for
// slirp4netns.
func TestPodmanOptions(t *testing.T) { overPodmans(t, testPodmanOptions) }

func testPodmanOptions(t *testing.T, version podmanVersion) {
	const refused = "wget: can't connect to remote host (%s): Network is unreachable"
	hostAddress(t, otherSource+"/24", lab.HostLink)
	// Nothing has it as its source but what wants to.
	hostAddress(t, "2001:db8:100::9/64", lab.HostLink)
	onHost(t, "ip", "addr", "change", "2001:db8:100::9/64", "dev", lab.HostLink, "preferred_lft", "0")
	for _, c := range []struct {
		name, network, gateway string
		want                   []string // addr mtu dns source source6 loopback
	}{
		{"none", "slirp4netns", "10.0.2.2",
			[]string{"10.0.2.100/24", "65520", "10.0.2.3", "198.51.100.1", "[2001:db8:100::1]", fmt.Sprintf(refused, "10.0.2.2")}},
		{"many", "slirp4netns:allow_host_loopback=true,cidr=10.0.77.0/24,mtu=1500,enable_ipv6=true", "10.0.77.2",
			[]string{"10.0.77.100/24", "1500", "10.0.77.3", "198.51.100.1", "[2001:db8:100::1]", strings.TrimSpace(lab.HostPage)}},
		{"source", "slirp4netns:enable_ipv6=true,outbound_addr=198.51.100.9,outbound_addr6=2001:db8:100::9", "10.0.2.2",
			[]string{"10.0.2.100/24", "65520", "10.0.2.3", "198.51.100.9", "[2001:db8:100::9]", fmt.Sprintf(refused, "10.0.2.2")}},
		{"IPv4", "slirp4netns:enable_ipv6=false", "10.0.2.2",
			[]string{"10.0.2.100/24", "65520", "10.0.2.3", "198.51.100.1", "", fmt.Sprintf(refused, "10.0.2.2")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPodman(t, version, user)
			box := p.run("box", c.network, wait)
			want := fmt.Sprintf("addr %s\nmtu %s\ndns %s\nname %ssource %s\nsource6 %s\nloopback %s\n",
				c.want[0], c.want[1], c.want[2], lab.InetPage, c.want[3], c.want[4], c.want[5])
			if got := box.sh(fmt.Sprintf(look, c.gateway)); got != want {
				t.Errorf("it sees\n%s\nwant\n%s", got, want)
			}
			box.do("stop", "-t0", "box")
			p.checkNothingLeft(box.slirp)
		})
	}
}

// TestPodmanPublish is what comes in by published ports, and from whom.
func TestPodmanPublish(t *testing.T) { overPodmans(t, testPodmanPublish) }

func testPodmanPublish(t *testing.T, version podmanVersion) {
	for _, c := range []struct{ name, options, gateway string }{
		{"host loopback", "allow_host_loopback=true,cidr=10.0.77.0/24,mtu=1500", "10.0.77.2"},
		// The C program loses the answer to a UDP client on 127.0.0.1.
		{"no host loopback", "enable_ipv6=true", "10.0.2.2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPodman(t, version, user)
			tcp, udp := freePort(t), freePort(t)
			box := p.run("box", "slirp4netns:port_handler=slirp4netns,"+c.options, "httpd -p 8080 -h /www; "+wait,
				"-p", fmt.Sprintf("%d:80", tcp), "-p", fmt.Sprintf("%d:80/udp", udp), "-p", "127.0.0.1::8080")
			ns := box.network()
			serveTCP(t, ns, "0.0.0.0:80", tellPeer)
			serveUDP(t, ns, "0.0.0.0:80", whoami)
			for _, from := range []struct {
				client
				want string
			}{
				{client{"loopback", nil, "", "127.0.0.1"}, c.gateway},
				{client{"host", nil, "", "198.51.100.1"}, "198.51.100.1"},
				{client{"remote", lab.Inet, "", "198.51.100.1"}, "198.51.100.2"},
			} {
				for network, port := range map[string]int{"tcp": tcp, "udp": udp} {
					got, err := from.answer(network, port)
					if host, _, _ := net.SplitHostPort(got); err != nil || host != from.want {
						t.Errorf("%s from %s: seen as %q, %v; want %s", network, from.name, got, err, from.want)
					}
				}
			}
			at := strings.TrimSpace(p.do("port", "box", "8080/tcp"))
			if got := whenUp(t, at); got != containerPage {
				t.Errorf("%s: %q, want %q", at, got, containerPage)
			}
			box.do("stop", "-t0", "box")
			p.checkNothingLeft(box.slirp, tcp, udp)
		})
	}
}
