package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// takesEffect is how long a change of resolv.conf may take.
const takesEffect = time.Second

// underLocks runs a test without the locks and with both of them.
func underLocks(t *testing.T, test func(t *testing.T, args []string)) {
	t.Run("bare", func(t *testing.T) { test(t, nil) })
	t.Run("locked", func(t *testing.T) { test(t, bothLocks) })
}

// rewrites are the ways in which programs change resolv.conf.
var rewrites = []struct {
	name    string
	rewrite func(conf, content string) error
}{
	{"written to", func(conf, content string) error { return os.WriteFile(conf, []byte(content), 0o644) }},
	{"renamed", func(conf, content string) error {
		if err := os.WriteFile(conf+".new", []byte(content), 0o644); err != nil {
			return err
		}
		return os.Rename(conf+".new", conf)
	}},
	{"a link to a link", func(conf, content string) error {
		dir := filepath.Dir(conf)
		if err := os.WriteFile(filepath.Join(dir, "other"), []byte(content), 0o644); err != nil {
			return err
		}
		if err := os.Symlink("other", filepath.Join(dir, "link")); err != nil {
			return err
		}
		if err := os.Symlink("link", filepath.Join(dir, "chain")); err != nil {
			return err
		}
		return os.Rename(filepath.Join(dir, "chain"), conf)
	}},
	{"another link in between", func(conf, content string) error {
		dir := filepath.Dir(conf)
		if err := os.WriteFile(filepath.Join(dir, "third"), []byte(content), 0o644); err != nil {
			return err
		}
		if err := os.Symlink("third", filepath.Join(dir, "newlink")); err != nil {
			return err
		}
		return os.Rename(filepath.Join(dir, "newlink"), filepath.Join(dir, "link"))
	}},
}

// A second after resolv.conf has changed, in whatever way, its resolvers are
// asked, and no others.
func TestDNSFollowsResolvConf(t *testing.T) {
	for i := range 1 + len(rewrites) {
		hostDNS(t, fmt.Sprintf("127.0.0.%d:53", 101+i), fmt.Sprintf("192.0.2.%d", 1+i))
	}
	underLocks(t, func(t *testing.T, args []string) {
		conf := hostEtc(t, "127.0.0.101")
		g := lab.NewGuest(t, lab.GuestOptions{})
		g.Slirp(t, append([]string{"-c"}, args...)...)
		if got, _, err := queryA(g, "udp4", "any.test", 5*time.Second); err != nil || got != "192.0.2.1" {
			t.Fatalf("at first: %s, %v", got, err)
		}
		for i, r := range rewrites {
			want := fmt.Sprintf("192.0.2.%d", 2+i)
			if err := r.rewrite(conf, nameservers(fmt.Sprintf("127.0.0.%d", 102+i))); err != nil {
				t.Fatal(err)
			}
			changed := time.Now()
			var got string
			var err error
			for time.Since(changed) < 5*time.Second && got != want {
				got, _, err = queryA(g, "udp4", "any.test", 5*time.Second)
			}
			took := time.Since(changed)
			t.Logf("%s: took effect after %v", r.name, took)
			if err != nil || got != want || took > takesEffect {
				t.Errorf("%s: after %v %s, %v, want %s", r.name, took, got, err, want)
			}
			for _, network := range []string{"tcp4", "udp4", "tcp4"} {
				if got, _, err := queryA(g, network, "any.test", 5*time.Second); err != nil || got != want {
					t.Errorf("%s, %s: %s, %v, want %s", r.name, network, got, err, want)
				}
			}
		}
	})
}

// Queries, and connections, that wait for a resolver that is gone are answered
// by those that resolv.conf names then, also a second after the change.
func TestDNSFollowsUnderWay(t *testing.T) {
	hostDNS(t, "127.0.0.101:53", "192.0.2.101")
	underLocks(t, func(t *testing.T, args []string) {
		conf := hostEtc(t, silentServer)
		g := lab.NewGuest(t, lab.GuestOptions{})
		g.Slirp(t, append([]string{"-c"}, args...)...)
		for _, r := range rewrites[:2] {
			type answer struct {
				network, got string
				at           time.Time
				err          error
			}
			answers := make(chan answer)
			// They are at all places of the time between two looks at the file.
			const queries = 5
			for _, network := range []string{"udp4", "tcp4"} {
				for i := range queries {
					time.AfterFunc(time.Duration(i)*50*time.Millisecond, func() {
						got, _, err := queryA(g, network, "any.test", 10*time.Second)
						answers <- answer{network, got, time.Now(), err}
					})
				}
			}
			time.Sleep(400 * time.Millisecond)
			if err := r.rewrite(conf, nameservers("127.0.0.101")); err != nil {
				t.Fatal(err)
			}
			changed := time.Now()
			var longest time.Duration
			for range 2 * queries {
				a := <-answers
				took := a.at.Sub(changed)
				longest = max(longest, took)
				if a.err != nil || a.got != "192.0.2.101" || took < 0 || took > takesEffect {
					t.Errorf("%s, %s: %q, %v after the change, %v", r.name, a.network, a.got, took, a.err)
				}
			}
			t.Logf("%s: %d queries were answered, the last one after %v", r.name, 2*queries, longest)
			if err := os.WriteFile(conf, []byte(nameservers(silentServer)), 0o644); err != nil {
				t.Fatal(err)
			}
			asksSilent := func() bool {
				_, _, err := queryA(g, "udp4", "any.test", 100*time.Millisecond)
				return err != nil
			}
			if !eventually(asksSilent, false) {
				t.Fatalf("%s: it does not go back", r.name)
			}
		}
	})
}
