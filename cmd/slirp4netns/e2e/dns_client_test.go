package e2e

import (
	_ "embed"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// What real resolvers of the guest get through the relay.
func TestDNSClients(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	g.Slirp(t, "-c")
	g.Nameserver(t, "10.0.2.3")
	for _, c := range []struct {
		command string
		want    string // is in the output
	}{
		{"dig @10.0.2.3 +short lab.test A", lab.InetAddr4.String()},
		{"dig @10.0.2.3 +short lab.test AAAA", lab.InetAddr6.String()},
		{"dig @10.0.2.3 +tcp +short lab.test A", lab.InetAddr4.String()},
		{"dig @10.0.2.3 nosuch.test", "NXDOMAIN"},
		// Truncated, and then whole over TCP.
		{"dig @10.0.2.3 +bufsize=512 big.lab.test TXT", "TCP"},
		{"dig @10.0.2.3 +bufsize=512 +ignore big.lab.test TXT", "flags: qr aa tc"},
		// In fragments, or over the MTU of the other side.
		{"dig @10.0.2.3 +notcp +bufsize=4096 big.lab.test TXT", "MSG SIZE  rcvd: 4"},
		{"dig @10.0.2.3 +tcp +keepopen lab.test A lab.test AAAA big.lab.test TXT", "MSG SIZE  rcvd: 4"},
		{"getent ahostsv4 lab.test", lab.InetAddr4.String()},
		{"getent ahostsv6 lab.test", lab.InetAddr6.String()},
		{"busybox nslookup lab.test", "Address: " + lab.InetAddr4.String()},
		{"busybox wget -q -O - http://lab.test/", lab.InetPage},
	} {
		f := strings.Fields(c.command)
		if got := g.Run(t, commandTimeout, f[0], f[1:]...); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s\nwant %q in it", c.command, got, c.want)
		}
	}
}

// resolveSource is what C libraries are tried with. It is embedded, as the lab
// need not be able to read the directory of the test.
//
//go:embed testdata/resolve/resolve.c
var resolveSource string

// The C libraries' resolvers ask for both families at once, from one port.
func TestDNSLibraries(t *testing.T) {
	g := lab.NewGuest(t, lab.GuestOptions{})
	g.Slirp(t, "-c")
	g.Nameserver(t, "10.0.2.3")
	source := guestFile(t, g, "resolve.c", resolveSource)
	for _, compiler := range []string{"gcc", "musl-gcc"} { // glibc and musl
		program := filepath.Join(filepath.Dir(source), compiler)
		g.Run(t, commandTimeout, compiler, "-o", program, source)
		got := strings.Fields(g.Run(t, commandTimeout, program, lab.Domain))
		slices.Sort(got)
		if want := []string{lab.InetAddr4.String(), lab.InetAddr6.String()}; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", compiler, got, want)
		}
		out, err := g.Command(t.Context(), program, "nosuch.test").Output()
		if err == nil || !strings.HasPrefix(string(out), "Name ") { // … does not resolve, … not known
			t.Errorf("%s: %q, %v, want that there is no such name", compiler, out, err)
		}
	}
}

// A message over TCP may have 65535 bytes.
func TestDNSLargeMessages(t *testing.T) {
	hostDNS(t, "127.0.0.1:5353", "192.0.2.7")
	g := lab.NewGuest(t, lab.GuestOptions{})
	g.Slirp(t, "-c", "--dns=127.0.0.1:5353")
	for _, c := range []struct {
		how  string
		size int
	}{{"+notcp", 1400}, {"+notcp", 4000}, {"+tcp", 1}, {"+tcp", 65000}} {
		out := dig(t, g, "10.0.2.3", "+short", "+bufsize=65000", c.how, fmt.Sprintf("%d.test", c.size), "TXT")
		if n := strings.Count(out, "x"); n != c.size {
			t.Errorf("%s: %d bytes of %d", c.how, n, c.size)
		}
	}
}
