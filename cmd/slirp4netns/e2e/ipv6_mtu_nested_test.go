package e2e

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// TestPathMTUBehindTheGuest is a namespace that the guest routes for, over a
// link that is narrower than its own: what the guest says of packets that are
// too big for it reaches the connection, of IPv4 and of IPv6.
func TestPathMTUBehindTheGuest(t *testing.T) {
	const size, port = 1 << 20, 9999
	g, _ := configured6(t)
	inner := startInGuest(t, g, "unshare", "-n", "sh", "-c", "echo pid $$; exec sleep 600")
	pid := strings.Fields(inner.want("pid ", 1))[1]
	g.Run(t, commandTimeout, "sh", "-c", fmt.Sprintf(`set -e
		ip link add v0 mtu %d type veth peer name v1 mtu %[1]d netns %s
		ip addr add 192.168.77.1/24 dev v0
		ip addr add fd77::1/64 dev v0 nodad
		ip link set v0 up
		echo 1 > /proc/sys/net/ipv4/ip_forward
		echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
		ip -6 route show default | grep -q . || ip -6 route add default via fe80::2 dev tap0
		nsenter -n -t %[2]s sh -c '
			ip addr add 192.168.77.2/24 dev v1 && ip addr add fd77::2/64 dev v1 nodad &&
			ip link set lo up && ip link set v1 up &&
			ip route add default via 192.168.77.1 advmss 1460 && ip -6 route add default via fd77::1 advmss 1440'`, narrow, pid))
	for _, addr := range []string{lab.InetAddr4.String(), lab.InetAddr6.String()} {
		var l net.Listener
		if err := lab.Inet.Do(func() (err error) {
			l, err = net.Listen("tcp", net.JoinHostPort(addr, fmt.Sprint(port)))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					io.Copy(c, io.LimitReader(lab.Stream(size), size))
				}()
			}
		}()
		// Its veth is up a moment after it was told to be.
		out := g.Run(t, commandTimeout, "nsenter", "-n", "-t", pid, "sh", "-c", fmt.Sprintf(
			"for i in $(seq 20); do timeout 8 nc -d %s %d > /tmp/got.$$ && test -s /tmp/got.$$ && break; sleep 0.1; done; wc -c < /tmp/got.$$; rm /tmp/got.$$", addr, port))
		if got := strings.TrimSpace(out); got != fmt.Sprint(size) {
			t.Errorf("%s: %s bytes came, want %d", addr, got, size)
		}
	}
}
