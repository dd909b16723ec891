package dns

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// following is a Resolvers of a file below a new directory, with a clock that
// the test moves on.
type following struct {
	*Resolvers
	t    *testing.T
	path string
	time time.Time
}

func follow(t *testing.T) *following {
	f := &following{t: t, path: filepath.Join(t.TempDir(), "resolv.conf"), time: time.Unix(1e9, 0)}
	f.Resolvers = NewResolvers(ResolversConfig{Path: f.path})
	f.now = func() time.Time { return f.time }
	return f
}

func (f *following) later() { f.time = f.time.Add(recheck) }

func (f *following) write(path, s string) {
	f.t.Helper()
	if err := os.WriteFile(path, []byte(s), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f *following) want(list ...string) {
	f.t.Helper()
	if d := cmp.Diff(list, addrs(f.List())); d != "" {
		f.t.Errorf("-want +got:\n%s", d)
	}
}

func TestResolversFollowTheFile(t *testing.T) {
	f := follow(t)
	f.want("127.0.0.1", "::1") // there is no file
	f.write(f.path, "nameserver 192.0.2.1\n")
	f.want("127.0.0.1", "::1") // not looked at again so soon
	f.later()
	f.want("192.0.2.1")
	f.write(f.path, "nameserver 192.0.2.2\n") // in place, of the same size
	f.later()
	f.want("192.0.2.2")

	f.write(f.path+".new", "nameserver 192.0.2.3\n")
	if err := os.Rename(f.path+".new", f.path); err != nil {
		t.Fatal(err)
	}
	f.later()
	f.want("192.0.2.3")

	os.Remove(f.path)
	f.later()
	f.want("192.0.2.3") // it is being replaced
}

// A file that somebody has emptied to write it anew is not believed at once.
func TestResolversHalfWritten(t *testing.T) {
	f := follow(t)
	f.write(f.path, "nameserver 192.0.2.1\n")
	f.want("192.0.2.1")
	f.write(f.path, "")
	f.later()
	f.want("192.0.2.1")
	f.write(f.path, "nameserver 192.0.2.2\n")
	f.later()
	f.want("192.0.2.2")
	f.write(f.path, "search example.test\n") // and stays so
	f.later()
	f.want("192.0.2.2")
	f.later()
	f.want("127.0.0.1", "::1")
	f.later()
	f.want("127.0.0.1", "::1")
}

// A file that is there and cannot be read, as when descriptors have run out, is
// tried again at the next query. Here it is a directory, which root cannot read
// either.
func TestResolversTryAgain(t *testing.T) {
	f := follow(t)
	if err := os.Mkdir(f.path, 0o755); err != nil {
		t.Fatal(err)
	}
	f.want("127.0.0.1", "::1")
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	f.write(f.path, "nameserver 192.0.2.1\n")
	f.want("192.0.2.1")
}

// As with systemd-resolved or NixOS: the file becomes a link to a link.
func TestResolversFollowLinks(t *testing.T) {
	f := follow(t)
	dir := filepath.Dir(f.path)
	f.write(f.path, "nameserver 192.0.2.1\n")
	f.want("192.0.2.1")
	f.write(filepath.Join(dir, "a"), "nameserver 192.0.2.2\n")
	os.Remove(f.path)
	for _, link := range [][2]string{{"a", "l1"}, {"l1", "l2"}, {"l2", "resolv.conf"}} {
		if err := os.Symlink(link[0], filepath.Join(dir, link[1])); err != nil {
			t.Fatal(err)
		}
	}
	f.later()
	f.want("192.0.2.2")
	f.write(filepath.Join(dir, "b"), "nameserver 192.0.2.3\n")
	os.Remove(filepath.Join(dir, "l1"))
	if err := os.Symlink("b", filepath.Join(dir, "l1")); err != nil {
		t.Fatal(err)
	}
	f.later()
	f.want("192.0.2.3") // the link in the middle has changed
}

// A list that is the same list keeps what is known of its resolvers.
func TestResolversSameList(t *testing.T) {
	f := follow(t)
	f.write(f.path, "nameserver 192.0.2.1\n")
	a := f.List()
	f.write(f.path, "# touched\nnameserver 192.0.2.1\n")
	f.later()
	if b := f.List(); !same(a, b) {
		t.Error("a comment made it another list")
	}
}

func TestResolversGivenAndForbidden(t *testing.T) {
	f := follow(t)
	f.write(f.path, "nameserver 127.0.0.53\nnameserver 192.0.2.1\nnameserver 192.0.2.1\nsearch a.test\n")
	f.cfg.Forbidden = netip.Addr.IsLoopback
	f.want("192.0.2.1")

	f = follow(t)
	f.write(f.path, "nameserver 127.0.0.53\n")
	f.cfg.Forbidden = netip.Addr.IsLoopback
	if l := f.List(); len(l) != 0 || l == nil {
		t.Errorf("%v, want none", l)
	}

	f = follow(t)
	f.write(f.path, "nameserver 192.0.2.1\nsearch a.test\n")
	f.cfg.Servers = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.9:5353")}
	f.want("192.0.2.9")
	if d := cmp.Diff([]string{"a.test"}, f.Search()); d != "" {
		t.Errorf("search, -want +got:\n%s", d)
	}
}

func TestResolversAreBounded(t *testing.T) {
	f := follow(t)
	var s string
	for i := range 100 {
		s += fmt.Sprintf("nameserver 192.0.2.%d\n", i)
	}
	f.write(f.path, s)
	if n := len(f.List()); n != maxResolvers {
		t.Errorf("%d resolvers, want %d", n, maxResolvers)
	}
}
