package main

import (
	"slices"
	"strings"
	"testing"
)

// What fails ends the attempt alone, and its cleanups run all the same.
func TestAttempt(t *testing.T) {
	var did []string
	err := attempt(func(p *trial) {
		p.Cleanup(func() { did = append(did, "whole") })
		part := p.part()
		defer part.Close()
		part.Cleanup(func() { did = append(did, "second"); part.Errorf("while closing") })
		part.Cleanup(func() { did = append(did, "first") })
		p.Fatalf("number %d", 1)
		did = append(did, "never")
	})
	if want := []string{"first", "second", "whole"}; !slices.Equal(did, want) {
		t.Errorf("did %q, want %q", did, want)
	}
	if err == nil || !strings.Contains(err.Error(), "number 1") || !strings.Contains(err.Error(), "while closing") {
		t.Errorf("attempt said %v", err)
	}
	if err := attempt(func(*trial) {}); err != nil {
		t.Errorf("nothing failed: %v", err)
	}
}
