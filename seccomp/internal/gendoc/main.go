// Command gendoc writes docs/seccomp.md from the rules of package seccomp, on
// its standard output. `make generate` runs it.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/slirp4netns-go/slirp4netns/seccomp"
)

const head = `# The seccomp filter

Made from ` + "`seccomp/rules*.go`" + ` by ` + "`make generate`" + `.

` + "`--enable-seccomp`" + ` allows these system calls and no others, on all threads, from
when everything is up, right before the ready-fd, to the end. All else kills
the process, or fails with EPERM, or is logged (` + "`--seccomp-action`" + `). Calls of
another architecture, i386 and x32 on amd64 among them, are not allowed.

Where a column names values, one of them must be met. The table is for a
process with a control socket, CAP_NET_RAW (root without --enable-sandbox) and
an interface or a link-local address as --outbound-addr; without them ` + "`unlinkat`" + `, SO_ATTACH_FILTER,
SO_BINDTODEVICE and SO_BINDTOIFINDEX are not allowed either.

| call | allowed for | on | why |
|---|---|---|---|
`

func main() {
	var b strings.Builder
	b.WriteString(head)
	for _, r := range seccomp.Rules(seccomp.Options{PID: 1, Directories: []int{3}, RawSockets: true, OutboundInterface: true}) {
		var when []string
		for _, c := range r.When {
			when = append(when, c.Text)
		}
		on := "all"
		if r.Only != nil {
			on = strings.Join(r.Only, ", ")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.Call, cell(strings.Join(when, "; ")), on, cell(r.Why))
	}
	if _, err := os.Stdout.WriteString(b.String()); err != nil {
		fmt.Fprintln(os.Stderr, "gendoc:", err)
		os.Exit(1)
	}
}

// cell keeps a text from ending its column.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
