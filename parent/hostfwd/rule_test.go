package hostfwd

import (
	"net/netip"
	"strings"
	"testing"
)

// rule reads "tcp 127.0.0.1:80-89 10.0.2.100:8080"; the range is optional.
func ruleOf(t *testing.T, s string) Rule {
	t.Helper()
	f := strings.Fields(s)
	host, end, isRange := strings.Cut(f[1], "-")
	r := Rule{Network: f[0], Host: netip.MustParseAddrPort(host), Guest: netip.MustParseAddrPort(f[2])}
	if isRange {
		r.End = netip.MustParseAddrPort("0.0.0.0:" + end).Port()
	}
	return r
}

func TestRuleCheck(t *testing.T) {
	for s, want := range map[string]string{
		"tcp 0.0.0.0:80 10.0.2.100:80":               "",
		"udp [::]:80 [fd00::5]:80":                   "",
		"tcp4 127.0.0.1:0 [fd00::5]:80":              "",
		"udp6 [::1]:80-80 10.0.2.100:80":             "",
		"tcp 0.0.0.0:1-65535 10.0.2.100:1":           "",
		"tcp 0.0.0.0:65535 10.0.2.100:65535":         "",
		"sctp 0.0.0.0:80 10.0.2.100:80":              "want tcp, tcp4, tcp6, udp, udp4 or udp6",
		"tcp4 [::]:80 10.0.2.100:80":                 ":: is not an IPv4 address, which tcp4 wants",
		"udp6 0.0.0.0:80 10.0.2.100:80":              "0.0.0.0 is not an IPv6 address, which udp6 wants",
		"tcp 0.0.0.0:80-79 10.0.2.100:80":            "ends before it begins",
		"tcp 0.0.0.0:0-79 10.0.2.100:80":             "cannot begin with port 0",
		"tcp 0.0.0.0:80 10.0.2.100:0":                "the guest's port is 0",
		"udp 0.0.0.0:1000-1999 10.0.2.100:64537":     "the range of 1000 ports leads beyond the guest's port 65535",
		"udp 127.0.0.1:1000-1999 10.0.2.100:64536":   "",
		"tcp 198.51.100.1:8000-8001 10.0.2.100:8000": "",
	} {
		r := ruleOf(t, s)
		err := r.check()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", s, err, want)
		}
	}
}

func TestRuleOverlaps(t *testing.T) {
	const guest = " 10.0.2.100:1"
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"tcp 127.0.0.1:80", "tcp 127.0.0.1:80", true},
		{"tcp 127.0.0.1:80", "tcp4 0.0.0.0:80", true},
		{"tcp 127.0.0.1:80", "tcp 127.0.0.2:80", false},
		{"tcp 127.0.0.1:80", "udp 127.0.0.1:80", false},
		{"tcp 127.0.0.1:80", "tcp 127.0.0.1:81", false},
		{"tcp 127.0.0.1:80-89", "tcp 127.0.0.1:89-90", true},
		{"tcp 127.0.0.1:80-89", "tcp 127.0.0.1:90-99", false},
		{"udp 0.0.0.0:50-60", "udp 127.0.0.1:55", true},
		{"tcp [::]:80", "tcp 127.0.0.1:80", true},
		{"tcp6 [::]:80", "tcp 127.0.0.1:80", false},
		{"tcp6 [::]:80", "tcp 0.0.0.0:80", false},
		{"tcp6 [::]:80", "tcp [::1]:80", true},
		{"tcp [::1]:80", "tcp 127.0.0.1:80", false},
		{"tcp [::1]:80", "tcp 0.0.0.0:80", false},
	} {
		a, b := ruleOf(t, c.a+guest), ruleOf(t, c.b+guest)
		if a.overlaps(&b) != c.want || b.overlaps(&a) != c.want {
			t.Errorf("%s and %s: %v and %v, want %v", c.a, c.b, a.overlaps(&b), b.overlaps(&a), c.want)
		}
	}
}

// Which sockets a guest's datagrams to an address may leave from.
func TestRuleReaches(t *testing.T) {
	for _, c := range []struct {
		rule string
		to   string
		want bool
	}{
		{"udp 0.0.0.0:53", "198.51.100.2", true},
		{"udp 0.0.0.0:53", "127.0.0.1", true},
		{"udp 0.0.0.0:53", "2001:db8::1", false},
		{"udp [::]:53", "2001:db8::1", true},
		{"udp [::]:53", "198.51.100.2", true},
		{"udp6 [::]:53", "198.51.100.2", false},
		{"udp6 [::]:53", "::1", true},
		{"udp 127.0.0.1:53", "127.0.0.1", true},
		{"udp 127.0.0.1:53", "198.51.100.2", false},
		{"udp [::1]:53", "::1", true},
		{"udp [::1]:53", "2001:db8::1", false},
		{"udp [::1]:53", "127.0.0.1", false},
		{"udp 198.51.100.1:53", "198.51.100.2", true},
		{"udp 198.51.100.1:53", "2001:db8::1", false},
		{"udp [2001:db8::2]:53", "2001:db8::1", true},
		{"udp [fe80::1%lo]:53", "2001:db8::1", false},
	} {
		r := ruleOf(t, c.rule+" 10.0.2.100:53")
		if got := r.reaches(netip.MustParseAddr(c.to)); got != c.want {
			t.Errorf("%s reaches %s: %v, want %v", c.rule, c.to, got, c.want)
		}
	}
}
