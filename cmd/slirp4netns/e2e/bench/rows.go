package main

import "strings"

// row is one line of the result.
type row struct {
	name string
	unit string
	// higherIsBetter: throughput; else a time.
	higherIsBetter bool
	// measure gives one or more samples of a program. Each call starts the
	// program anew in a new guest.
	measure func(b *bench, binary string) []float64
}

// rows are all lines, in the order of the tables.
var rows = []row{
	{"TCP out, MTU 1500", gigabits, true, iperf(1500, false)},
	{"TCP in, MTU 1500", gigabits, true, iperf(1500, true)},
	{"TCP out, MTU 65520", gigabits, true, iperf(65520, false)},
	{"TCP in, MTU 65520", gigabits, true, iperf(65520, true)},
	{"TCP request and response of 1 byte", microseconds, false, requestResponse},
	{"TCP connect, 1 byte each way, close", microseconds, false, connectClose},
	{"from exec to ready, with --configure", milliseconds, false, startUp},
}

const (
	gigabits     = "Gbit/s"
	microseconds = "µs"
	milliseconds = "ms"
)

// selectRows are the rows that were asked for.
func selectRows(o options) []row {
	var selected []row
	for _, r := range rows {
		if strings.Contains(r.name, o.only) {
			selected = append(selected, r)
		}
	}
	return selected
}
