package main

import (
	"io"
	"slices"
	"strings"
	"testing"
)

func TestNormalise(t *testing.T) {
	for _, tt := range []struct {
		args  string // words
		posix bool
		want  string // canonical words, operands after "--"
		err   string // first line without the program's name
	}{
		{args: "", want: "--"},
		{args: "1 tap0", want: "-- 1 tap0"},
		{args: "-c -r 3 1 tap0", want: "--configure --ready-fd=3 -- 1 tap0"},
		{args: "-c6r3 1 tap0", want: "--configure --enable-ipv6 --ready-fd=3 -- 1 tap0"},
		{args: "-r -1", want: "--ready-fd=-1 --"},
		{args: "-r --", want: "--ready-fd=-- --"},
		{args: "-r=3", want: "--ready-fd==3 --"},
		{args: "--mtu 1 --mtu=2 --mtu=", want: "--mtu=1 --mtu=2 --mtu= --"},
		{args: "--mtu=a=b", want: "--mtu=a=b --"},
		{args: "1 -c tap0 -6", want: "--configure --enable-ipv6 -- 1 tap0"},
		{args: "1 -c -- -6 --mtu", want: "--configure -- 1 -6 --mtu"},
		{args: "-- -- -c", want: "-- -- -c"},
		{args: "- -c", want: "--configure -- -"},
		{args: "-c 1 -6", posix: true, want: "--configure -- 1 -6"},
		{args: "-c -- 1 -6", posix: true, want: "--configure -- 1 -6"},
		{args: "-c -r 1 tap0 --", posix: true, want: "--configure --ready-fd=1 -- tap0 --"},
		{args: "--ready=3 --e4", want: "--ready-fd=3 --", err: "unrecognized option '--e4'"},
		{args: "--outbound-addr x --outbound-addr6 y", want: "--outbound-addr=x --outbound-addr6=y --"},
		{args: "--cr --no --co", want: "--create-sandbox --no-host-loopback --configure --"},

		{args: "-c --x -6", want: "--configure --", err: "unrecognized option '--x'"},
		{args: "-cx6", want: "--configure --", err: "invalid option -- 'x'"},
		{args: "-\xc3\xa9", want: "--", err: "invalid option -- '\xc3'"},
		{args: "1 -r", want: "-- 1", err: "option requires an argument -- 'r'"},
		{args: "--mt", want: "--", err: "option '--mtu' requires an argument"},
		{args: "--co=1", want: "--", err: "option '--configure' doesn't allow an argument"},
		{args: "--co=", want: "--", err: "option '--configure' doesn't allow an argument"},
		{args: "--disable=1", want: "--", err: "option '--disable=1' is ambiguous; possibilities: '--disable-host-loopback' '--disable-dns'"},
	} {
		options, operands, err := normalise("p", strings.Fields(tt.args), tt.posix)
		got := strings.Join(append(append(options, "--"), operands...), " ")
		if got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.args, got, tt.want)
		}
		text := ""
		if err != nil {
			text = strings.TrimSuffix(strings.TrimPrefix(err.Error(), "p: "), "\n")
		}
		if text != tt.err {
			t.Errorf("%q: complaint %q, want %q", tt.args, text, tt.err)
		}
	}
}

// Options of our own must leave upstream's abbreviations alone.
func TestOwnOptions(t *testing.T) {
	for _, o := range ownOptions {
		for _, u := range upstreamOptions {
			if o.short != 0 && o.short == u.short {
				t.Errorf("--%s takes -%c from --%s", o.long, o.short, u.long)
			}
			if strings.HasPrefix(u.long, o.long) {
				t.Errorf("--%s has been an abbreviation of --%s", o.long, u.long)
			}
		}
	}
}

// FuzzParse: any command line gives a configuration or one of our own errors,
// go-flags has nothing to complain about in what normalise lets through, and
// the canonical form is its own canonical form.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"-c6r3 1 tap0", "--mtu=\"1\" --cidr '\"x\"'", "--e", "-r", "-- -c", "--=", "-h", "--ver -",
		"--target-type=bess /x --api='", "--netns-type tapfd 3", "-c --mac 1:2", "--outbound-addr 1.2.3.4 1 x",
	} {
		f.Add(strings.ReplaceAll(seed, " ", "\x00"), false)
	}
	f.Fuzz(func(t *testing.T, joined string, posix bool) {
		args := strings.Split(joined, "\x00")
		options, operands, complaint := normalise("p", args, posix)
		again, rest, err2 := normalise("p", append(append(slices.Clone(options), "--"), operands...), posix)
		if err2 != nil || !slices.Equal(again, options) || !slices.Equal(rest, operands) {
			t.Errorf("%q: canonical form %q %q became %q %q, %v", args, options, operands, again, rest, err2)
		}
		for _, o := range options {
			name, _, attached := strings.Cut(strings.TrimPrefix(o, "--"), "=")
			all := slices.Concat(upstreamOptions, ownOptions)
			i := slices.IndexFunc(all, func(u option) bool { return u.long == name })
			if i < 0 || all[i].argument != attached {
				t.Errorf("%q: %q is not canonical", args, o)
			}
		}
		if posix {
			return // parse would look at the environment
		}
		c, err := parse(append([]string{"p"}, args...), io.Discard)
		if err == nil {
			if complaint != nil || !slices.Equal(c.Operands, operands) {
				t.Errorf("%q: operands %q, want %q; complaint %v", args, c.Operands, operands, complaint)
			}
			_, err = c.config(io.Discard)
		}
		if err != nil && strings.HasPrefix(err.Error(), "go-flags") {
			t.Errorf("%q: %v", args, err)
		}
	})
}
