// Command bench measures bin/slirp4netns against its peers in one run,
// interleaved, in the lab, and writes docs/benchmarks.{md,json,svg} and the
// table of README.md. What is measured is the list in rows.go.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// options are the command line.
type options struct {
	rounds  int
	seconds int
	long    time.Duration
	docs    string
	readme  string
	only    *regexp.Regexp
	print   bool
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
	flag.IntVar(&o.seconds, "seconds", 1, "length of one measurement of a rate")
	flag.DurationVar(&o.long, "long", 30*time.Second, "how long is watched what does nothing, and how long a gap is looked for")
	flag.StringVar(&o.docs, "out", "docs", "directory for benchmarks.md, benchmarks.json and benchmarks.svg")
	flag.StringVar(&o.readme, "readme", "README.md", "file whose table is replaced")
	only := flag.String("only", "", "measure the rows whose name matches this regular expression, and replace them in the files")
	flag.BoolVar(&o.print, "print", false, "write no files")
	flag.BoolVar(&o.guard, "guard", false, "measure what guard.go lists against the C program only, write no files, and fail if a row is far behind what it was")
	flag.DurationVar(&o.limit, "limit", 0, "begin no further round after so long; 0: there is no limit")
	flag.Parse()
	var err error
	if o.only, err = regexp.Compile(*only); err == nil && (o.rounds < 1 || o.seconds < 1 || o.long < time.Second || flag.NArg() > 0) {
		err = errors.New("want at least one round of at least one second, and no arguments")
	}
	if err == nil {
		err = run(o, *only != "")
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// run measures, and tells of it. What failed with this program is an error, in
// the end: the rest is written all the same. The guard takes no failure.
func run(o options, partial bool) error {
	var before *result
	if partial && !o.print && !o.guard {
		var err error
		if before, err = readResult(o); err != nil {
			return err
		}
	}
	r := newResult(o)
	if before != nil {
		if err := before.sameSetting(r); err != nil {
			return err
		}
	}
	if err := attempt(func(p *trial) { r.all(p, o) }); err != nil {
		return err
	}
	fmt.Print(r.table(r.Rows), "\n", r.failureList())
	if o.guard {
		return r.checkGuard()
	}
	failed := r.failed(ours)
	if before != nil {
		r = before.merge(r)
	}
	if !o.print {
		if err := r.write(o); err != nil {
			return err
		}
	}
	return failed
}
