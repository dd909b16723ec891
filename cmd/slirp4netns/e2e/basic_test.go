package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// mtus are the default and what Podman and Docker pass.
var mtus = []int{1500, 65520}

// overMTUs runs a test in a guest of an ordinary user, once for each MTU.
func overMTUs(t *testing.T, test func(t *testing.T, g *lab.Guest)) {
	for _, mtu := range mtus {
		t.Run(fmt.Sprintf("mtu=%d", mtu), func(t *testing.T) {
			g := lab.NewGuest(t, lab.GuestOptions{})
			g.Slirp(t, "-c", fmt.Sprintf("--mtu=%d", mtu))
			test(t, g)
		})
	}
}

// curl is the output of a real curl in the guest.
func curl(t *testing.T, g *lab.Guest, args ...string) string {
	t.Helper()
	args = append([]string{"--silent", "--show-error", "--fail", "--max-time", "10"}, args...)
	return g.Run(t, commandTimeout, "curl", args...)
}

func TestCurl(t *testing.T) {
	overMTUs(t, func(t *testing.T, g *lab.Guest) {
		g.Nameserver(t, "10.0.2.3")
		for url, want := range map[string]string{
			"http://10.0.2.2:8000/": lab.HostPage,
			"http://198.51.100.2/":  lab.InetPage,
			"http://lab.test/":      lab.InetPage,
		} {
			if got := curl(t, g, "-4", url); got != want {
				t.Errorf("%s: %q, want %q", url, got, want)
			}
		}
	})
}

// The guest is not seen by its own address, but as the host.
func TestSourceAddressIsTheHosts(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	g.Slirp(t, "-c")
	got := curl(t, g, "http://198.51.100.2/client")
	if host, _, err := net.SplitHostPort(got); err != nil || host != lab.HostAddr4.String() {
		t.Errorf("the server saw %q, want %v", got, lab.HostAddr4)
	}
}

func TestGigabyte(t *testing.T) {
	const size = 1 << 30
	want, err := lab.SHA256(lab.Stream(size))
	if err != nil {
		t.Fatal(err)
	}
	overMTUs(t, func(t *testing.T, g *lab.Guest) {
		t.Run("down", func(t *testing.T) {
			got := digest(t, g, "curl", "--silent", "--show-error", "--fail",
				fmt.Sprintf("http://198.51.100.2/bytes/%d", size))
			if got != want {
				t.Errorf("SHA-256 %s, want %s", got, want)
			}
		})
		t.Run("up", func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), transferTimeout)
			defer cancel()
			cmd := g.Command(ctx, "curl", "--silent", "--show-error", "--fail", "-T", "-", "http://198.51.100.2/upload")
			cmd.Stdin = lab.Stream(size)
			var stderr lab.Log
			cmd.Stderr = &stderr
			got, err := cmd.Output()
			if err != nil || string(got) != want {
				t.Errorf("SHA-256 %s, want %s; %v: %s", got, want, err, stderr.String())
			}
		})
	})
}

// digest runs a command in the guest and returns the SHA-256 of its output.
func digest(t *testing.T, g *lab.Guest, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), transferTimeout)
	defer cancel()
	cmd := g.Command(ctx, name, args...)
	var stderr lab.Log
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	sum, readErr := lab.SHA256(out)
	if err := cmd.Wait(); err != nil || readErr != nil {
		t.Fatalf("%s %v: %v, %v: %s", name, args, err, readErr, stderr.String())
	}
	return sum
}

// The reply to a datagram comes whole and from where it was sent to: the
// socket is connected, so that the guest's kernel drops any other.
func TestUDPEcho(t *testing.T) {
	overMTUs(t, func(t *testing.T, g *lab.Guest) {
		for _, addr := range []string{"10.0.2.2:7", "198.51.100.2:7"} {
			for _, size := range []int{1, 1400, 9000} {
				if err := udpEcho(g, addr, size); err != nil {
					t.Errorf("%d bytes to %s: %v", size, addr, err)
				}
			}
		}
	})
}

// udpEcho is echoDatagram from the guest.
func udpEcho(g *lab.Guest, addr string, size int) error {
	c, err := g.Dial("udp", addr, commandTimeout)
	if err != nil {
		return err
	}
	defer c.Close()
	return echoDatagram(c, size)
}

// echoDatagram sends one datagram and expects it back. UDP may lose a datagram
// on the way, so it is sent up to three times.
func echoDatagram(c net.Conn, size int) (err error) {
	want := make([]byte, size)
	if _, err := io.ReadFull(lab.Stream(int64(size)), want); err != nil {
		return err
	}
	for range 3 {
		if _, err := c.Write(want); err != nil {
			return err
		}
		got := make([]byte, size+1)
		c.SetReadDeadline(time.Now().Add(time.Second))
		var n int
		n, err = c.Read(got)
		if err != nil {
			continue
		}
		if !bytes.Equal(got[:n], want) {
			return fmt.Errorf("%d bytes came back changed, as %d", size, n)
		}
		return nil
	}
	return err
}

func TestPingGateway(t *testing.T) {
	overMTUs(t, func(t *testing.T, g *lab.Guest) {
		for _, addr := range []string{"10.0.2.2", "10.0.2.3"} {
			out := g.Run(t, commandTimeout, "ping", "-n", "-c", "3", "-i", "0.2", "-W", "2", addr)
			if !strings.Contains(out, " 0% packet loss") || strings.Contains(out, "DUP!") {
				t.Errorf("%s", out)
			}
		}
	})
}

// Two guests at once, each through its own slirp4netns with the same
// addresses, do not see each other.
func TestTwoGuests(t *testing.T) {
	a, b := lab.NewGuest(t, lab.GuestOptions{}), lab.NewGuest(t, lab.GuestOptions{})
	a.Slirp(t, "-c")
	b.Slirp(t, "-c")
	for _, g := range []*lab.Guest{a, b} {
		if got := curl(t, g, "http://198.51.100.2/"); got != lab.InetPage {
			t.Errorf("%q", got)
		}
	}
}
