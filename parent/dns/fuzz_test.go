package dns

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/slirp4netns-go/slirp4netns/parent/datagram"
)

var fuzzNames = NewNames([]string{"host.containers.internal", "gw"}, netip.MustParseAddr("10.0.2.2"), netip.MustParseAddr("fd00::2"))

// FuzzNames: an answer of ours can be read by another implementation, is one
// to the question, and tells of the gateway alone.
func FuzzNames(f *testing.F) {
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeANY, dns.TypeHTTPS} {
		f.Add(question("Host.containers.internal", byte(kind)))
	}
	edns := question("gw", byte(dns.TypeA))
	edns[11] = 1 // additional records
	f.Add(append(edns, "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"...))
	f.Add(append(message(1, false, 0, "")[:5], "\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01"...))
	f.Fuzz(func(t *testing.T, query []byte) {
		b, ok := fuzzNames.Answer(query)
		if !ok {
			return
		}
		if !isQuery(query) || !isAnswer(b) || messageID(b) != messageID(query) {
			t.Fatalf("% x answers % x", b, query)
		}
		var m dns.Msg
		if err := m.Unpack(b); err != nil || len(m.Question) != 1 || m.Rcode != dns.RcodeSuccess || len(m.Answer) > 2 {
			t.Fatalf("% x: %v, %v", b, err, &m)
		}
		for _, rr := range m.Answer {
			got := ""
			switch rr := rr.(type) {
			case *dns.A:
				got = rr.A.String()
			case *dns.AAAA:
				got = rr.AAAA.String()
			}
			if got != "10.0.2.2" && got != "fd00::2" || !strings.EqualFold(rr.Header().Name, m.Question[0].Name) {
				t.Errorf("%v answers %v", rr, m.Question)
			}
		}
	})
}

// FuzzQuery: over UDP a resolver gets each query as the guest has sent it, and
// nothing else; the guest gets the answer as the resolver has sent it, and only
// one to its query.
func FuzzQuery(f *testing.F) {
	f.Add(message(1, false, 0, "question"), message(1, true, 0, "answer"))
	f.Add(message(1, false, 0, "question"), message(2, true, 0, "answer"))
	f.Add(message(1, false, 0, ""), message(1, true, rcodeServFail, ""))
	f.Add(message(1, true, 0, ""), []byte{})
	f.Add(question("gw", byte(dns.TypeA)), []byte("short"))
	f.Add(message(1, false, 0, strings.Repeat("x", 2*maxKept)), message(1, true, 0, strings.Repeat("y", 4000)))
	server := newLoopback(f)
	r := newRig(f, 0, &resolver{addr: server.addr})
	r.Relay.cfg.Names = fuzzNames
	got := make(chan []byte, 16)
	r.Relay.cfg.Sender = sendFunc(func(b []byte) { got <- bytes.Clone(b) })
	f.Fuzz(func(t *testing.T, query, answer []byte) {
		const largest = 65507 // bytes of a datagram
		if len(query) > largest || len(answer) > largest {
			return
		}
		r.Query(testGuest, testVia, query)
		if own, ok := fuzzNames.Answer(query); ok {
			if b := <-got; !bytes.Equal(b, own) {
				t.Fatalf("% x answers % x", b, query)
			}
			return
		}
		if !isQuery(query) {
			// Were it passed on, the next query would not be the first
			// that the resolver gets.
			return
		}
		from := server.want(t, query)
		server.send(answer, from)
		want := answer
		if !isAnswer(answer) || messageID(answer) != messageID(query) {
			want = message(messageID(query), true, 0, "good")
			server.send(want, from)
		}
		select {
		case b := <-got:
			if !bytes.Equal(b, want) {
				t.Fatalf("the guest got % x, want % x", b, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no answer, want % x", want)
		}
	})
}

// sendFunc is a Sender.
type sendFunc func([]byte)

func (f sendFunc) UDP(_, _ netip.AddrPort, b []byte, _ datagram.Meta) { f(b) }

// FuzzResolvConf: whatever the file says there are resolvers, not too many,
// and each is on a line of it.
func FuzzResolvConf(f *testing.F) {
	f.Add([]byte("nameserver 192.0.2.1\nnameserver fe80::1%eth0\nsearch a.test b.test\n"))
	f.Add([]byte("# nameserver 192.0.2.1\r\ndomain x\nnameserver ::ffff:192.0.2.1\x00\n"))
	f.Add([]byte(strings.Repeat("nameserver 192.0.2.1\nnameserver 192.0.2.2\n", 20)))
	f.Add([]byte(strings.Repeat("x", 70000) + "\nnameserver 192.0.2.1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := parse(b)
		var r Resolvers
		r.setLocked(c)
		if n := len(r.list); n == 0 || n > maxResolvers {
			t.Fatalf("%d resolvers", n)
		}
		lines := 0
		for line := range bytes.Lines(b) {
			if w := bytes.Fields(line); len(w) > 1 && string(w[0]) == "nameserver" {
				if a, err := netip.ParseAddr(string(w[1])); err == nil {
					if lines >= len(c.servers) || c.servers[lines] != netip.AddrPortFrom(a.Unmap(), Port) {
						t.Fatalf("%v: not in %v at %d", a, c.servers, lines)
					}
					lines++
				}
			}
		}
		if lines != len(c.servers) && (lines != 0 || len(c.servers) != 2) {
			t.Errorf("%d servers of %d lines", len(c.servers), lines)
		}
		for _, s := range c.search {
			if s == "" || strings.ContainsAny(s, " \t\n") || !bytes.Contains(b, []byte(s)) {
				t.Errorf("domain %q", s)
			}
		}
	})
}
