package main

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/parent"
)

func TestParsePublish(t *testing.T) {
	at := netip.MustParseAddrPort
	for s, want := range map[string]parent.Publish{
		"8080:80":                   {Network: "tcp", Host: at("[::]:8080"), GuestPort: 80},
		"8080:80/tcp":               {Network: "tcp", Host: at("[::]:8080"), GuestPort: 80},
		"8080:80/tcp4":              {Network: "tcp4", Host: at("0.0.0.0:8080"), GuestPort: 80},
		"8080:80/udp6":              {Network: "udp6", Host: at("[::]:8080"), GuestPort: 80},
		"127.0.0.1:53:5353/udp":     {Network: "udp", Host: at("127.0.0.1:53"), GuestPort: 5353},
		"127.0.0.1::80":             {Network: "tcp", Host: at("127.0.0.1:0"), GuestPort: 80},
		":80":                       {Network: "tcp", Host: at("[::]:0"), GuestPort: 80},
		"80":                        {Network: "tcp", Host: at("[::]:0"), GuestPort: 80},
		"[::1]:8080:80":             {Network: "tcp", Host: at("[::1]:8080"), GuestPort: 80},
		"[fe80::1%lo]:1:2":          {Network: "tcp", Host: at("[fe80::1%lo]:1"), GuestPort: 2},
		"[::ffff:127.0.0.1]:1:2":    {Network: "tcp", Host: at("127.0.0.1:1"), GuestPort: 2},
		"8000-8099:80-179":          {Network: "tcp", Host: at("[::]:8000"), End: 8099, GuestPort: 80},
		"0.0.0.0:65535:65535":       {Network: "tcp", Host: at("0.0.0.0:65535"), GuestPort: 65535},
		"127.0.0.1:7000-7001:1-2":   {Network: "tcp", Host: at("127.0.0.1:7000"), End: 7001, GuestPort: 1},
		"127.0.0.1:7000-7000:1/udp": {Network: "udp", Host: at("127.0.0.1:7000"), GuestPort: 1},
	} {
		if got, err := parsePublish(s); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", s, got, err, want)
		}
	}
	for _, s := range []string{
		"", ":", "a", "80:", "0:80", "80:0", "80:65536", "+80:80", "80:80/", "80:80/sctp", "80:80/TCP",
		"::1:80:80", "[127.0.0.1]:80:80", "[::1:80:80", "host:80:80", "80-81:80", "80:80-81", "81-80:81-80",
		"80-81-82:1-3", ":80-81", "127.0.0.1:80:80/tcp6", "[::1]:80:80/udp4", "1:2:3:4", "127.0.0.1:-1:80",
		"65500-65600:1-101", "1-101:65500-65600", "1-65536:1-65536", "0-1:0-1", "1e3:80", "80.0:80", "80 :80", "127.0.0.1\x00:80:80",
		"18446744073709551617:80", "[::1]::", "[]:80:80", "[fe80::1%]:80:80", "127.0.0.1%lo:80:80",
	} {
		if got, err := parsePublish(s); err == nil {
			t.Errorf("%q: %+v, want an error", s, got)
		}
	}
}

// FuzzPublish: what is taken are ports of the host and as many of the guest,
// none of them beyond 65535, at an address of the right IP version. Written
// down in full it is read as the same again.
func FuzzPublish(f *testing.F) {
	for _, s := range []string{
		"8080:80", "80", ":80", "127.0.0.1::80", "127.0.0.1:53:5353/udp", "[::1]:8080:80/tcp6", "[fe80::1%lo]:1:2",
		"[::ffff:127.0.0.1]:1:2", "8000-8099:80-179", "65500-65600:1-101", "0.0.0.0:7000-7000:1/udp4", "1-65535:1-65535",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePublish(s)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q: an error of several lines: %v", s, err)
			}
			return
		}
		count := 1
		if p.End != 0 {
			count = int(p.End) - int(p.Host.Port()) + 1
		}
		a := p.Host.Addr()
		switch {
		case p.GuestPort == 0, int(p.GuestPort)+count-1 > 65535:
			t.Errorf("%q: %d ports of the guest from %d on", s, count, p.GuestPort)
		case p.End != 0 && (p.Host.Port() == 0 || count < 2):
			t.Errorf("%q: %d ports from %s on", s, count, p.Host)
		case !a.IsValid(), a.Is4In6(), strings.HasSuffix(p.Network, "4") && !a.Is4(), strings.HasSuffix(p.Network, "6") && !a.Is6():
			t.Errorf("%q: address %s for %s", s, a, p.Network)
		}
		if again, err := parsePublish(inFull(p)); err != nil || again != p {
			t.Errorf("%q is %+v, and %q is %+v, %v", s, p, inFull(p), again, err)
		}
	})
}

// inFull is --publish with nothing left out but a port of 0.
func inFull(p parent.Publish) string {
	addr, host, guest := p.Host.Addr().String(), "", fmt.Sprint(p.GuestPort)
	if p.Host.Addr().Is6() {
		addr = "[" + addr + "]"
	}
	if p.Host.Port() != 0 {
		host = fmt.Sprint(p.Host.Port())
	}
	if p.End != 0 {
		host += fmt.Sprint("-", p.End)
		guest += fmt.Sprint("-", int(p.GuestPort)+int(p.End-p.Host.Port()))
	}
	return addr + ":" + host + ":" + guest + "/" + p.Network
}
