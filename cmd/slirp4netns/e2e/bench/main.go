// Command bench measures bin/slirp4netns against the C program in one run,
// interleaved, in the lab, and writes docs/benchmarks.{md,json,svg} and the
// table of README.md. A row of the result is a function in rows.go.
package main

import (
	"flag"
	"fmt"
	"os"
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
}

func main() {
	lab.Enter()
	var o options
	flag.IntVar(&o.rounds, "rounds", 5, "how often each row is measured with each program; at least 3 for a median")
	flag.IntVar(&o.seconds, "seconds", 5, "length of one throughput measurement")
	flag.StringVar(&o.docs, "out", "docs", "directory for benchmarks.md, benchmarks.json and benchmarks.svg")
	flag.StringVar(&o.readme, "readme", "README.md", "file whose table is replaced")
	flag.StringVar(&o.only, "only", "", "measure the rows whose name contains this, and write no files")
	flag.Parse()
	p := lab.NewProgram("bench")
	if o.rounds < 1 || o.seconds < 1 || flag.NArg() > 0 {
		p.Fatalf("want at least one round of at least one second, and no arguments")
	}
	r := measure(p, o)
	p.Close()
	fmt.Print(r.table())
	if o.only != "" {
		return
	}
	if err := r.write(o); err != nil {
		p.Fatalf("%v", err)
	}
}

// measure runs every row of every program, round by round, so that whatever
// else the machine does meets both. Odd rounds run the programs the other
// way round.
func measure(p *lab.Program, o options) *result {
	lab.RequireBinary(p)
	b := &bench{p: p, o: o}
	b.startServers()
	r := newResult(o)
	rows := selectRows(o)
	for round := range o.rounds {
		for _, row := range rows {
			for i := range programs {
				which := i
				if round%2 == 1 {
					which = len(programs) - 1 - i
				}
				if row.oursOnly && which != 0 {
					continue
				}
				start := time.Now()
				samples := row.measure(b, programs[which].binary)
				r.add(row, which, samples)
				fmt.Fprintf(os.Stderr, "round %d/%d: %-40s %-4s %s %s (%.1f s)\n", round+1, o.rounds, row.name,
					programs[which].name, number(summarize(samples).Median), row.unit, time.Since(start).Seconds())
			}
		}
	}
	return r
}

// programs are what is compared: ours first.
var programs = []struct{ name, binary string }{
	{"Go", lab.Binary},
	{"C", lab.Reference},
}
