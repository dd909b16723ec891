// Command slirp4netns connects an unprivileged network namespace to the
// host's network, as slirp4netns(1) describes.
//
// This package is the command line alone. It turns what the caller typed
// into a [parent.Config] and calls [parent.Run]; nothing here opens a
// namespace, a TAP or a socket. The way of a command line:
//
//	os.Args ── normalise ──▶ --long=value … -- operands   getopt.go, options.go
//	        ── go-flags ───▶ commandLine                   flags.go, actions.go
//	        ── config ─────▶ *parent.Config                config.go and the files of its parts
//	        ── parent.Run ─▶ exit status
//
// Callers of the C program parse what it prints, so messages, streams, exit
// statuses and the order of the checks are the C program's; testdata/cli
// holds the command lines that are compared with it, and the differences.
// Each step does its part in the order of the command line: "--mtu=0 --bad"
// complains about the MTU, "--bad --mtu=0" about the option, and "-h --bad"
// prints the help.
//
// Three rules say what is printed where:
//
//   - warnings that the C program gives, usage, help and version: stdout;
//   - what is wrong with the command line: stderr, exit status 1;
//   - warnings of our own: stderr, as callers show that to people.
package main
