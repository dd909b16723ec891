package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// TestMain runs the tests in the lab: what they start finds a network in
// which it can do no harm. A fuzz worker starts nothing, and talks over file
// descriptors that entering the lab would close.
func TestMain(m *testing.M) {
	isWorker := func(arg string) bool { return strings.HasPrefix(arg, "-test.fuzzworker") }
	if slices.ContainsFunc(os.Args, isWorker) {
		os.Exit(m.Run())
	}
	lab.Main(m)
}
