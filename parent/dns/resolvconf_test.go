package dns

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

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
	}{
		{"plain", "nameserver 192.0.2.1\nnameserver 192.0.2.2\n", []string{"192.0.2.1", "192.0.2.2"}},
		{"both families and a scope", "nameserver 2001:db8::1\nnameserver fe80::1%eth0\nnameserver 192.0.2.1", []string{"2001:db8::1", "fe80::1%eth0", "192.0.2.1"}},
		{"other lines", "# c\n; c\nsearch nameserver\noptions edns0\n\tnameserver\t192.0.2.1 trailing\n", []string{"192.0.2.1"}},
		{"rubbish", "nameserver\nnameserver localhost\nnameserver 300.1.1.1\n", []string{"127.0.0.1", "::1"}},
		{"empty", "", []string{"127.0.0.1", "::1"}},
		{"v4-mapped", "nameserver ::ffff:192.0.2.1\n", []string{"192.0.2.1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, addrs(parse([]byte(c.file)))); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func TestResolversFollowTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Unix(1e9, 0)
	r := NewResolvers(path)
	r.now = func() time.Time { return now }
	want := func(list ...string) {
		t.Helper()
		if d := cmp.Diff(list, addrs(r.List())); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
	}
	want("127.0.0.1", "::1") // there is no file
	write("nameserver 192.0.2.1\n")
	want("127.0.0.1", "::1") // not looked at again within a second
	now = now.Add(recheck)
	want("192.0.2.1")
	write("nameserver 192.0.2.2\n")
	now = now.Add(recheck)
	want("192.0.2.2")
	os.Remove(path)
	now = now.Add(recheck)
	want("192.0.2.2") // it is being replaced
}

func TestFirstPrefersIPv4(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(path, []byte("nameserver 2001:db8::1\nnameserver 192.0.2.1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if a, ok := NewResolvers(path).First(); !ok || a.String() != "192.0.2.1:53" {
		t.Errorf("First() = %s, %v; want 192.0.2.1:53, true", a, ok)
	}
}
