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
	return os.WriteFile(file, []byte(before+tableBegin+r.table(r.headlines())+readmePlot+tableEnd+after), 0o644)
}

// page is docs/benchmarks.md.
func (r *result) page() string {
	m := r.Machine
	var b strings.Builder
	fmt.Fprintf(&b, `# Benchmarks

Written by `+"`make bench`"+` on %s; the samples are in [benchmarks.json](benchmarks.json).
All were measured in one run, in turns, %d rounds, as an ordinary user in the
lab of the tests: nothing leaves the machine. Its processors are shared by the
program that is measured and both ends of what it carries.

![the figures as a plot](benchmarks.svg)

`, r.Date, r.Rounds)
	b.WriteString(r.table(r.Rows))
	b.WriteString("\n## What is wanted, and what is reached\n\nOf the medians. Why a row is missed, and what was tried, stands in\n[ARCHITECTURE.md](ARCHITECTURE.md), \"Where it is behind\".\n\n")
	b.WriteString(r.targetTable())
	b.WriteString("\n## How it is measured\n")
	fmt.Fprintf(&b, `
- TCP out, in, forwarded: iperf3 for %d s after one second of warm-up, between
  the guest and the host's 127.0.0.1; what the receiver saw. "Out" is from the
  guest to the host by 10.0.2.2, "in" back, "forwarded" from the host to a port
  that is forwarded into the guest. What pasta forwards from loopback it hands
  to the namespace without its stack and the TAP ("splice").
- Processor time: of the data plane's process alone, for 10^9 bytes.
- RootlessKit's builtin port driver and gvisor-tap-vsock (network and ports):
  those of RootlessKit %s.
- Loopback alone: the same client and server without a guest; its MTU is 65536.
- 50 %% and 99 %%: so many of the times are shorter.
- Request and response: %d on one connection, threads that block in system
  calls. 16 connections or clients: one thread with epoll(7) at either end, a
  request under way on each. Connect: in a loop, in one thread or 16; a single
  failure ends the benchmark.
- UDP received: one iperf3 -u that sends as fast as it can.
- DNS: a resolver on the host's loopback that answers every query alike, on one
  thread. HTTP: wrk against nginx with one worker.
- From exec to ready: time until the program has written to its ready-fd, at
  least %d starts, each in a new namespace. "With slirp-child": as make install
  builds it, the child is that smaller program.
- Idle: 30 s. The rows of memory, idle and gap are measured once.
- A reader that sleeps: %d connections whose guests read nothing.
- BESS: a guest whose TAP is bridged to the socket, by two goroutines of the
  benchmark; between two machines: two such guests, and the switch. User Mode
  Linux: iperf3 inside it. The C program serves one machine at a time.

| | |
|---|---|
| processor | %s, %d cores |
| memory | %s |
| kernel | %s |
| system | %s |
| this program | %s, built with %s |
| C program | %s |
| iperf3 | %s |
| pasta | %s |
| wrk, nginx | %s, %s |
`, r.Seconds, m.Kit, requests, starts, sleepers, m.CPU, m.Cores, m.Memory, m.Kernel, m.System, m.Ours, m.Go, m.C, m.Iperf3, m.Pasta, m.Wrk, m.Nginx)
	return b.String()
}
