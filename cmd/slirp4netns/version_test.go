package main

import (
	"regexp"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// TestVersion reads --version as its callers do.
func TestVersion(t *testing.T) {
	requirePrograms(t)
	got := runProgram(t, lab.Binary, nil, []string{"--version"})
	if got.Status != 0 || got.Stderr != "" {
		t.Fatalf("--version: %+v", got)
	}
	shape := regexp.MustCompile(`\Aslirp4netns version [0-9]+\.[0-9]+\.[0-9]+
commit: [-0-9a-z]+
libslirp: [0-9]+\.[0-9]+\.[0-9]+
SLIRP_CONFIG_VERSION_MAX: [4-9]
libseccomp: [0-9]+\.[0-9]+\.[0-9]+
go: .*
gvisor: .*
\z`)
	if !shape.MatchString(got.Stdout) {
		t.Errorf("--version prints\n%swant\n%s", got.Stdout, shape)
	}
	// Docker: the last such line counts.
	lines := strings.Split(got.Stdout, "\n")
	for i, line := range lines {
		if i > 0 && strings.Contains(line, "version") || i != 1 && strings.Contains(line, "commit:") {
			t.Errorf("line %d would be taken for another: %q", i+1, line)
		}
	}
}

func TestRevision(t *testing.T) {
	setting := func(key, value string) debug.BuildSetting { return debug.BuildSetting{Key: key, Value: value} }
	for want, settings := range map[string][]debug.BuildSetting{
		"unknown":   nil,
		"abc":       {setting("vcs.revision", "abc"), setting("vcs.modified", "false")},
		"abc-dirty": {setting("vcs.revision", "abc"), setting("vcs.modified", "true")},
	} {
		if got := revision(&debug.BuildInfo{Settings: settings}); got != want {
			t.Errorf("revision of %v = %q, want %q", settings, got, want)
		}
	}
}
