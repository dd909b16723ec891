package main

import (
	"slices"
	"strings"
	"testing"
)

// TestHelpWithoutFilter: an architecture without rules does not advertise the
// filter, and everything else is there.
func TestHelpWithoutFilter(t *testing.T) {
	with, without := strings.Split(helpText(true), "\n"), strings.Split(helpText(false), "\n")
	gone := slices.DeleteFunc(slices.Clone(with), func(line string) bool { return slices.Contains(without, line) })
	if len(gone) != 2 || !strings.HasPrefix(gone[0], "--enable-seccomp ") || !strings.HasPrefix(gone[1], "--seccomp-action=") {
		t.Errorf("left out: %q", gone)
	}
	if len(with) != len(without)+len(gone) {
		t.Errorf("%d lines and %d without", len(with), len(without))
	}
}
