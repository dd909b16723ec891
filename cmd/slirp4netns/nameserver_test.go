package main

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/slirp4netns-go/slirp4netns/parent/dns"
)

func TestNameserverOptions(t *testing.T) {
	for _, c := range []struct {
		args string
		want string // the parsed options, or the beginning of the complaint
	}{
		{"", "[] false []"},
		{"--dns=192.0.2.1", "[192.0.2.1:53] false []"},
		{"--dns=192.0.2.1,2001:db8::1 --dns [2001:db8::2]:5353,127.0.0.1:54", "[192.0.2.1:53 [2001:db8::1]:53 [2001:db8::2]:5353 127.0.0.1:54] false []"},
		{"--dns=fe80::1%lo", "[[fe80::1%lo]:53] false []"},
		{"--dns=::ffff:192.0.2.1", "[192.0.2.1:53] false []"},
		{"--dns-loopback=off --dns-loopback=on", "[] false []"},
		{"--dns-loopback=off", "[] true []"},
		{"--host-name=host.containers.internal --host-name gw.", "[] false [host.containers.internal gw.]"},
		{"--dns=192.0.2.1 --disable-host-loopback", "[192.0.2.1:53] false []"},

		{"--dns=", `invalid --dns address: ""`},
		{"--dns=192.0.2.1,", `invalid --dns address: ""`},
		{"--dns=localhost", `invalid --dns address: "localhost"`},
		{"--dns=192.0.2.1:0", `invalid --dns address: "192.0.2.1:0"`},
		{"--dns=192.0.2.1:65536", `invalid --dns address: "192.0.2.1:65536"`},
		{"--dns=" + strings.Repeat("192.0.2.1,", 16) + "192.0.2.1", "--dns names 17 addresses"},
		{"--dns-loopback=no", `--dns-loopback must be either "on" or "off", not "no"`},
		{"--host-name=", `invalid --host-name: ""`},
		{"--host-name=a..b", `invalid --host-name: "a..b"`},
		{"--host-name=a\tb", `invalid --host-name: "a\tb"`},
		{"--host-name=" + strings.Repeat("x", 64), `invalid --host-name: "xxx`},
		{"--host-name=a --disable-host-loopback", "--host-name conflicts with --disable-host-loopback"},
		{"--host-name=a --no-host-loopback", "--host-name conflicts with --disable-host-loopback"},
		{"--host-name=a --disable-dns", "--host-name conflicts with --disable-dns"},
		{"--dns=192.0.2.1 --disable-dns", "--dns conflicts with --disable-dns"},
	} {
		args := append([]string{"slirp4netns"}, strings.FieldsFunc(c.args, func(r rune) bool { return r == ' ' })...)
		if got := nameserverOf(append(args, "1", "tap0")); !strings.HasPrefix(got, c.want) {
			t.Errorf("%q: %s, want %s", c.args, got, c.want)
		}
	}
}

// nameserverOf is the result of a command line as text.
func nameserverOf(args []string) string {
	c, err := parse(args, io.Discard)
	if err != nil {
		return err.Error()
	}
	p, err := c.config(io.Discard)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(p.DNS.Servers, p.DNS.NoLoopback, p.DNS.HostNames)
}

// FuzzHostName: a name that --host-name takes can be asked for, and has an
// answer.
func FuzzHostName(f *testing.F) {
	for _, s := range []string{"host.containers.internal", "gw.", "_x-1", "a..b", ".", strings.Repeat("x.", 127) + "y", "k\u212a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !isHostName(s) {
			return
		}
		name, err := dnsmessage.NewName(strings.ToUpper(strings.TrimSuffix(s, ".")) + ".")
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		q := dnsmessage.Message{Questions: []dnsmessage.Question{{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
		b, err := q.Pack()
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		answer, ok := dns.NewNames([]string{s}, netip.MustParseAddr("10.0.2.2")).Answer(b)
		if !ok {
			t.Fatalf("%q: no answer", s)
		}
		var m dnsmessage.Message
		if err := m.Unpack(answer); err != nil || len(m.Answers) != 1 {
			t.Fatalf("%q: %v, %v", s, m, err)
		}
	})
}
