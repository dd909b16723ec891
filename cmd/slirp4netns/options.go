package main

import "strings"

// option is one long option, with its short form if it has one.
type option struct {
	long     string
	short    byte // 0: none
	argument bool // it takes one, always
}

// upstreamOptions are the options of the C program in its order, which is the
// order in which getopt_long(3) lists the possibilities of an ambiguous
// abbreviation. The two deprecated ones are in no help but count as well:
// they are why --c and --n are ambiguous.
var upstreamOptions = []option{
	{long: "configure", short: 'c'},
	{long: "exit-fd", short: 'e', argument: true},
	{long: "ready-fd", short: 'r', argument: true},
	{long: "mtu", short: 'm', argument: true},
	{long: "cidr", argument: true},
	{long: "disable-host-loopback"},
	{long: "no-host-loopback"}, // deprecated: --disable-host-loopback
	{long: "netns-type", argument: true},
	{long: "userns-path", argument: true},
	{long: "api-socket", short: 'a', argument: true},
	{long: "enable-ipv6", short: '6'},
	{long: "enable-sandbox"},
	{long: "create-sandbox"}, // deprecated: --enable-sandbox
	{long: "enable-seccomp"},
	{long: "help", short: 'h'},
	{long: "version", short: 'v'},
	{long: "outbound-addr", argument: true},
	{long: "outbound-addr6", argument: true},
	{long: "disable-dns"},
	{long: "macaddress", argument: true},
	{long: "target-type", argument: true},
}

// ownOptions are those that the C program does not have. They are spelled in
// full, so that none of them ever makes an abbreviation ambiguous that works
// today, and no letter is one of the C program's.
var ownOptions = []option{
	{long: "cidr6", argument: true},
	{long: "dns", argument: true},
	{long: "dns-loopback", argument: true},
	{long: "host-name", argument: true},
	{long: "publish", short: 'p', argument: true},
	{long: "api-socket-mode", argument: true},
	{long: "seccomp-action", argument: true},
}

// longOption finds the option that name, as typed after "--", stands for: a
// full name, or the beginning of exactly one of upstream's. Where it begins
// several, they are returned as possibilities.
func longOption(name string) (found *option, possibilities []option) {
	for _, table := range [][]option{upstreamOptions, ownOptions} {
		for i := range table {
			if table[i].long == name {
				return &table[i], nil
			}
		}
	}
	for i := range upstreamOptions {
		if strings.HasPrefix(upstreamOptions[i].long, name) {
			found = &upstreamOptions[i]
			possibilities = append(possibilities, *found)
		}
	}
	if len(possibilities) > 1 {
		return nil, possibilities
	}
	return found, nil
}

// shortOption finds the option of one letter, or nil.
func shortOption(letter byte) *option {
	for _, table := range [][]option{upstreamOptions, ownOptions} {
		for i := range table {
			if table[i].short == letter {
				return &table[i]
			}
		}
	}
	return nil
}
