package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

const manualFile = "../../docs/slirp4netns.1.md"

var deprecatedOptions = []string{"no-host-loopback", "create-sandbox"}

// Every option is in the help and in the manual, under its short form too.
func TestOptionsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(manualFile)
	if err != nil {
		t.Fatal(err)
	}
	_, list, found := strings.Cut(string(text), "\n## OPTIONS\n")
	list, _, ended := strings.Cut(list, "\n## ")
	if !found || !ended {
		t.Fatalf("%s has no section OPTIONS", manualFile)
	}
	entries := map[string]bool{}
	for entry := range strings.SplitSeq(list, "\n\n") {
		if head, _, ok := strings.Cut(entry, "\n: "); ok {
			name, _, _ := strings.Cut(head, "=")
			entries[name] = true
		}
	}
	for _, o := range slices.Concat(upstreamOptions, ownOptions) {
		helped := strings.Contains(usage+ownUsage, "--"+o.long)
		if slices.Contains(deprecatedOptions, o.long) {
			if helped {
				t.Errorf("--%s is deprecated, but in the help", o.long)
			}
			continue
		}
		head := "**--" + o.long + "**"
		if o.short != 0 {
			head = "**-" + string(rune(o.short)) + "**, " + head
		}
		ok := entries[head]
		delete(entries, head)
		if !helped || !ok {
			t.Errorf("--%s: in the help %v, in the manual as %s %v", o.long, helped, head, ok)
		}
	}
	for head := range entries {
		t.Errorf("the manual has %s, which is no option", head)
	}
}
