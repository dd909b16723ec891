package parent

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const usualBanner = `Starting slirp
* MTU:             1500
* Network:         10.0.2.0
* Netmask:         255.255.255.0
* Gateway:         10.0.2.2
* DNS:             10.0.2.3
* DHCP begin:      10.0.2.15
* DHCP end:        10.0.2.30
* Recommended IP:  10.0.2.100
WARNING: 127.0.0.1:* on the host is accessible as 10.0.2.2 (set --disable-host-loopback to prohibit connecting to 127.0.0.1:*)
`

// fullBanner was printed by the C program 1.2.0 for
// --cidr=10.128.0.0/9 --mtu=65520 --macaddress=a:b --api-socket=/tmp/api
// --outbound-addr=1.2.3.4 --outbound-addr6=::ffff:1.2.3.4.
const fullBanner = `Starting slirp
* MTU:             65520
* Network:         10.128.0.0
* Netmask:         255.128.0.0
* Gateway:         10.128.0.2
* DNS:             10.128.0.3
* DHCP begin:      10.128.0.15
* DHCP end:        10.128.0.30
* Recommended IP:  10.128.0.100
* API Socket:      /tmp/api
* Outbound IPv4:    1.2.3.4
* Outbound IPv6:    ::ffff:1.2.3.4
* MAC address:     0a:0b:00:00:00:00
`

func TestBanner(t *testing.T) {
	for name, tt := range map[string]struct {
		config Config
		want   string
	}{
		"usual": {
			Config{MTU: 1500, Network: netip.MustParsePrefix("10.0.2.0/24")},
			usualBanner,
		},
		"everything": {
			Config{
				MTU:                 65520,
				Network:             netip.MustParsePrefix("10.128.0.0/9"),
				MAC:                 net.HardwareAddr{0x0a, 0x0b, 0, 0, 0, 0},
				APISocket:           "/tmp/api",
				Outbound4:           Outbound{Addr: netip.MustParseAddr("1.2.3.4")},
				Outbound6:           Outbound{Addr: netip.MustParseAddr("::ffff:1.2.3.4")},
				DisableHostLoopback: true,
			},
			fullBanner,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var w countingWriter
			if err := tt.config.WriteBanner(&w); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, w.buf.String()); diff != "" {
				t.Errorf("banner (-want +got):\n%s", diff)
			}
			if w.writes != 1 {
				t.Errorf("%d writes, want 1", w.writes)
			}
		})
	}
}

type countingWriter struct {
	buf    bytes.Buffer
	writes int
}

func (w *countingWriter) Write(p []byte) (int, error) {
	w.writes++
	return w.buf.Write(p)
}

// What inet_ntop of glibc 2.36 gives.
func TestInet6String(t *testing.T) {
	for addr, want := range map[string]string{
		"::":                 "::",
		"::1":                "::1",
		"::ffff":             "::ffff",
		"::1:0":              "::0.1.0.0",
		"::1.2.3.4":          "::1.2.3.4",
		"::ffff:1.2.3.4":     "::ffff:1.2.3.4",
		"64:ff9b::1.2.3.4":   "64:ff9b::102:304",
		"1:0:0:2:0:0:0:3":    "1:0:0:2::3",
		"1:0:2:3:4:5:6:7":    "1:0:2:3:4:5:6:7",
		"fe80::1%eth0":       "fe80::1",
		"2001:DB8:0:0:1::A0": "2001:db8::1:0:0:a0",
	} {
		if got := inet6String(netip.MustParseAddr(addr)); got != want {
			t.Errorf("inet6String(%s) = %s, want %s", addr, got, want)
		}
	}
}
