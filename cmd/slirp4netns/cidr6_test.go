package main

import (
	"io"
	"strings"
	"testing"
)

func TestCIDR6(t *testing.T) {
	for args, want := range map[string]string{
		"-6 --cidr6=fd00::/64":                "",
		"--cidr6=2001:db8:0:1::/64 -6":        "",
		"--cidr6=fd00::/64":                   "--cidr6 cannot be specified when --enable-ipv6",
		"-6 --cidr6=fd00::/48":                "invalid --cidr6: fd00::/48 (want an IPv6 network of 64 bits",
		"-6 --cidr6=fd00::":                   "invalid --cidr6: fd00:: (",
		"-6 --cidr6=":                         "invalid --cidr6:  (",
		"-6 --cidr6=10.0.2.0/24":              "invalid --cidr6: 10.0.2.0/24 (",
		"-6 --cidr6=fd00::2/64":               "--cidr6 needs to be a network address like fd00::/64, not like fd00::2/64",
		"-6 --cidr6=fe80::/64":                "invalid --cidr6: fe80::/64 (want a network of unicast addresses",
		"-6 --cidr6=ff02::/64":                "invalid --cidr6: ff02::/64 (want a network of unicast addresses",
		"-6 --cidr6=::/64":                    "invalid --cidr6: ::/64 (want a network of unicast addresses",
		"-6 --cidr6=::ffff:192.0.2.0/64":      "--cidr6 needs to be a network address",
		"-6 --cidr6=fd00:: --cidr6=fd01::/64": "",
	} {
		c, err := parse(strings.Fields("slirp4netns "+args+" 7 tap0"), io.Discard)
		if err == nil {
			_, err = c.config(io.Discard)
		}
		if got := ""; want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			if err != nil {
				got = err.Error()
			}
			t.Errorf("%s: error %q, want %q", args, got, want)
		}
	}
}
