package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// write replaces the files of the result.
func (r *result) write(o options) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	for name, content := range map[string]string{
		"benchmarks.json": string(data) + "\n",
		"benchmarks.md":   r.page(),
		"benchmarks.svg":  r.plot(),
	} {
		if err := os.WriteFile(filepath.Join(o.docs, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return r.updateReadme(o.readme)
}

// The lines of README.md between which the table stands.
const (
	tableBegin = "<!-- benchmarks: written by make bench -->\n"
	tableEnd   = "<!-- end of benchmarks -->\n"
)

// readmePlot follows the table.
const readmePlot = "\n![the figures as a plot](docs/benchmarks.svg)\n"

// updateReadme replaces the table and the plot.
func (r *result) updateReadme(file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(content), tableBegin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		return fmt.Errorf("%s: no place for the table (%q)", file, strings.TrimSpace(tableBegin))
	}
	return os.WriteFile(file, []byte(before+tableBegin+r.table()+readmePlot+tableEnd+after), 0o644)
}

// page is docs/benchmarks.md.
func (r *result) page() string {
	m := r.Machine
	var b strings.Builder
	fmt.Fprintf(&b, `# Benchmarks

Written by `+"`make bench`"+` on %s; the samples are in [benchmarks.json](benchmarks.json).
Both programs were measured in one run, in turns, %d rounds, as an ordinary
user in the lab of the tests: nothing leaves the machine.

![the figures as a plot](benchmarks.svg)

`, r.Date, r.Rounds)
	b.WriteString(r.table())
	fmt.Fprintf(&b, `
- Throughput: iperf3, one connection of %d s after one second of warm-up,
  between the guest and the host's 127.0.0.1 by 10.0.2.2; what the receiver
  saw. "Out" is from the guest to the host. The machine's cores are shared by
  both ends and the program.
- BESS: a guest whose TAP is bridged to the socket, by two goroutines of the
  benchmark; between two machines: two such guests, and the switch. User Mode
  Linux: iperf3 inside it. The C program serves one machine at a time.
- Request and response: mean of %d on one connection. Connect: mean of %d.
  Both ends are threads that block in system calls.
- From exec to ready: time until the program has written to its ready-fd, at
  least %d starts, each in a new namespace.

| | |
|---|---|
| processor | %s, %d cores |
| memory | %s |
| kernel | %s |
| system | %s |
| this program | %s, built with %s |
| C program | %s |
| iperf3 | %s |
`, r.Seconds, requests, connections, starts, m.CPU, m.Cores, m.Memory, m.Kernel, m.System, m.Ours, m.Go, m.C, m.Iperf3)
	return b.String()
}
