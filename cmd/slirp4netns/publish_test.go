package main

import (
	"net/netip"
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
	} {
		if got, err := parsePublish(s); err == nil {
			t.Errorf("%q: %+v, want an error", s, got)
		}
	}
}
