package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
)

// Set by the linker: -X main.version=… -X main.commit=….
var (
	// version is the release of the C program that this one replaces, in the
	// form x.y.z: callers take it apart and compare it to learn what they
	// may use. It is the only place where it is written.
	version = "1.3.3"
	// commit is the revision of our source; empty asks the Go toolchain's
	// build information.
	commit = ""
)

// Versions of C libraries that callers look for. We contain neither library:
// the values say which of their features work here.
const (
	// libslirp 4.7 brought what --outbound-addr and --disable-dns use.
	libslirpVersion = "4.9.0"
	// Scripts compare this: 2 and more has --outbound-addr, 3 and more
	// --disable-dns.
	slirpConfigVersionMax = 4
	// libseccomp 2.4 brought the action that kills the whole process.
	libseccompVersion = "2.6.0"
)

// writeVersion prints the five lines of the C program and then our own.
//
// slirp4netns: Docker takes the last line with the word "version" in it for
// the version, and the last with "commit:" for the commit. No line after the
// second may hold either.
func writeVersion(w io.Writer) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "slirp4netns version %s\n", version)
	fmt.Fprintf(&b, "commit: %s\n", revision(info))
	fmt.Fprintf(&b, "libslirp: %s\n", libslirpVersion)
	fmt.Fprintf(&b, "SLIRP_CONFIG_VERSION_MAX: %d\n", slirpConfigVersionMax)
	fmt.Fprintf(&b, "libseccomp: %s\n", libseccompVersion)
	fmt.Fprintf(&b, "go: %s\n", strings.TrimPrefix(runtime.Version(), "go"))
	fmt.Fprintf(&b, "gvisor: %s\n", module(info, "gvisor.dev/gvisor"))
	io.WriteString(w, b.String())
}

// revision is the commit that we were built from.
func revision(info *debug.BuildInfo) string {
	if commit != "" {
		return commit
	}
	revision, modified := "unknown", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "-dirty"
		}
	}
	return revision + modified
}

// module is the version of a module that is linked in.
func module(info *debug.BuildInfo, path string) string {
	for _, m := range info.Deps {
		if m.Path == path {
			return m.Version
		}
	}
	return "none"
}
