package dns

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func addrs(list []netip.AddrPort) []string {
	var s []string
	for _, a := range list {
		s = append(s, a.Addr().String())
	}
	return s
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, file string
		want       []string
		search     []string
	}{
		{"plain", "nameserver 192.0.2.1\nnameserver 192.0.2.2\n", []string{"192.0.2.1", "192.0.2.2"}, nil},
		{"both families and a scope", "nameserver 2001:db8::1\nnameserver fe80::1%eth0\nnameserver 192.0.2.1", []string{"2001:db8::1", "fe80::1%eth0", "192.0.2.1"}, nil},
		{"other lines", "# c\n; c\nsearch nameserver\noptions edns0\n\tnameserver\t192.0.2.1 trailing\n", []string{"192.0.2.1"}, []string{"nameserver"}},
		{"rubbish", "nameserver\nnameserver localhost\nnameserver 300.1.1.1\n", []string{"127.0.0.1", "::1"}, nil},
		{"empty", "", []string{"127.0.0.1", "::1"}, nil},
		{"v4-mapped", "nameserver ::ffff:192.0.2.1\n", []string{"192.0.2.1"}, nil},
		{"a long line before", strings.Repeat("x", 1<<17) + "\nnameserver 192.0.2.1", []string{"192.0.2.1"}, nil},
		{"search", "search a.test b.test\nnameserver 192.0.2.1", []string{"192.0.2.1"}, []string{"a.test", "b.test"}},
		{"the last one counts", "search a.test b.test\ndomain c.test d.test\nnameserver 192.0.2.1", []string{"192.0.2.1"}, []string{"c.test"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := parse([]byte(c.file))
			if d := cmp.Diff(c.want, addrs(got.servers)); d != "" {
				t.Errorf("servers, -want +got:\n%s", d)
			}
			if d := cmp.Diff(c.search, got.search); d != "" {
				t.Errorf("search, -want +got:\n%s", d)
			}
		})
	}
}
