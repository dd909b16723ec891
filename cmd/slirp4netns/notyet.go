package main

import (
	"fmt"
	"io"
)

// notYet are the options that callers pass always, and that do nothing so
// far. Whoever makes one work deletes its line here.
var notYet = []struct {
	option string
	given  func(*commandLine) bool
}{
	{"--enable-ipv6", func(c *commandLine) bool { return c.EnableIPv6 }},
}

// warnNotYet says which of the options given have no effect.
func (c *commandLine) warnNotYet(w io.Writer) {
	for _, n := range notYet {
		if n.given(c) {
			fmt.Fprintf(w, "WARNING: %s is not implemented yet, continuing without it\n", n.option)
		}
	}
}
