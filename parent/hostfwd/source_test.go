package hostfwd

import (
	"net/netip"
	"testing"
)

// How a guest sees a client: as it is where an answer finds its way back, else
// as the gateway.
func TestSeen(t *testing.T) {
	cfg := Config{
		Guest4: Guest{netip.MustParseAddr("10.0.2.2"), netip.MustParsePrefix("10.0.2.0/24")},
		Guest6: Guest{netip.MustParseAddr("fd00::2"), netip.MustParsePrefix("fd00::/64")},
	}
	const own = "" // the client's
	for _, c := range []struct{ client, v4, v6 string }{
		{"198.51.100.7", own, "fd00::2"},
		{"10.0.3.1", own, "fd00::2"},
		{"169.254.1.1", own, "fd00::2"},
		{"127.0.0.1", "10.0.2.2", "fd00::2"},
		{"127.200.3.4", "10.0.2.2", "fd00::2"},
		{"10.0.2.100", "10.0.2.2", "fd00::2"},
		{"10.0.2.2", "10.0.2.2", "fd00::2"},
		{"2001:db8::7", "10.0.2.2", own},
		{"fd00:0:0:1::1", "10.0.2.2", own},
		{"::1", "10.0.2.2", "fd00::2"},
		{"fd00::5", "10.0.2.2", "fd00::2"},
		{"fe80::1%3", "10.0.2.2", "fd00::2"},
	} {
		client := netip.MustParseAddr(c.client)
		for guest, want := range map[string]string{"10.0.2.100": c.v4, "fd00::5": c.v6} {
			if want == own {
				want = c.client
			}
			if got := cfg.seen(client, netip.MustParseAddr(guest)); got.String() != want {
				t.Errorf("the guest %s sees %s as %s, want %s", guest, client, got, want)
			}
		}
	}
}
