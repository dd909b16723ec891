// Command bench measures bin/slirp4netns against its peers in one run,
// interleaved, in the lab, and writes docs/benchmarks.{md,json,svg} and the
// table of README.md. What is measured is the list in rows.go.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// options are the command line.
type options struct {
	rounds  int
	seconds int
	docs    string
	readme  string
	only    string
	guard   bool
	limit   time.Duration
}

// threads is the GOMAXPROCS of the load generators: theirs are threads that
// block in system calls, and none of them is to wait for Go's scheduler.
const threads = 64

func main() {
	if len(os.Args) == 2 && os.Args[1] == serveOnly {
		serveAlone()
	}
	lab.Enter()
	runtime.GOMAXPROCS(threads)
	var o options
	flag.IntVar(&o.rounds, "rounds", 5, "how often each row is measured with each program; at least 3 for a median")
	flag.IntVar(&o.seconds, "seconds", 3, "length of one measurement of a rate")
	flag.StringVar(&o.docs, "out", "docs", "directory for benchmarks.md, benchmarks.json and benchmarks.svg")
	flag.StringVar(&o.readme, "readme", "README.md", "file whose table is replaced")
	flag.StringVar(&o.only, "only", "", "measure the rows whose name matches this regular expression, and write no files")
	flag.BoolVar(&o.guard, "guard", false, "measure some rows against the C program only, write no files, and fail if one is far behind what it was")
	flag.DurationVar(&o.limit, "limit", 0, "begin no further round after so long; 0: there is no limit")
	flag.Parse()
	p := lab.NewProgram("bench")
	if o.rounds < 1 || o.seconds < 1 || flag.NArg() > 0 {
		p.Fatalf("want at least one round of at least one second, and no arguments")
	}
	r := measure(p, o)
	p.Close()
	fmt.Print(r.table(r.Rows))
	if o.guard {
		if r.check(p); p.Failed() {
			os.Exit(1)
		}
		return
	}
	if o.only != "" {
		return
	}
	if err := r.write(o); err != nil {
		p.Fatalf("%v", err)
	}
}

// measure takes every measurement of every program, round by round, so that
// whatever else the machine does meets all. Odd rounds run the programs the
// other way round.
func measure(p *lab.Program, o options) *result {
	lab.RequireBinary(p)
	b := &bench{p: p, o: o}
	b.startServers()
	r := newResult(o)
	begin := time.Now()
	for round := range o.rounds {
		if o.limit != 0 && time.Since(begin) > o.limit {
			r.Rounds = round
			break
		}
		for _, m := range selectMeasurements(p, o) {
			if m.once && round > 0 {
				continue
			}
			for i := range m.subjects {
				if round%2 == 1 {
					i = len(m.subjects) - 1 - i
				}
				s := m.subjects[i]
				start := time.Now()
				samples := m.run(b, s)
				for i, row := range m.rows {
					r.add(row, s, samples[i])
					fmt.Fprintf(os.Stderr, "round %d/%d: %-50s %-8s %s %s (%.1f s)\n", round+1, o.rounds, row.name,
						s.name, summarize(samples[i]).short(), row.unit, time.Since(start).Seconds())
				}
			}
		}
	}
	return r
}
