package main

import "strings"

// row is one line of the result.
type row struct {
	name string
	unit string
	// higherIsBetter: throughput; else a time.
	higherIsBetter bool
	// oursOnly: the C program cannot do it.
	oursOnly bool
	// measure gives one or more samples of a program. Each call starts the
	// program anew in a new guest.
	measure func(b *bench, binary string) []float64
}

// rows are all lines, in the order of the tables.
var rows = []row{
	{name: "TCP out, MTU 1500", unit: gigabits, higherIsBetter: true, measure: iperf(1500, false)},
	{name: "TCP in, MTU 1500", unit: gigabits, higherIsBetter: true, measure: iperf(1500, true)},
	{name: "TCP out, MTU 65520", unit: gigabits, higherIsBetter: true, measure: iperf(65520, false)},
	{name: "TCP in, MTU 65520", unit: gigabits, higherIsBetter: true, measure: iperf(65520, true)},
	{name: "TCP request and response of 1 byte", unit: microseconds, measure: requestResponse},
	{name: "TCP connect, 1 byte each way, close", unit: microseconds, measure: connectClose},
	{name: "from exec to ready, with --configure", unit: milliseconds, measure: startUp},
	{name: "TCP out, BESS, MTU 1500", unit: gigabits, higherIsBetter: true, measure: bess(1500, false)},
	{name: "TCP in, BESS, MTU 1500", unit: gigabits, higherIsBetter: true, measure: bess(1500, true)},
	{name: "TCP out, BESS, MTU 65520", unit: gigabits, higherIsBetter: true, measure: bess(65520, false)},
	{name: "TCP in, BESS, MTU 65520", unit: gigabits, higherIsBetter: true, measure: bess(65520, true)},
	{name: "TCP out, User Mode Linux", unit: gigabits, higherIsBetter: true, measure: uml(false)},
	{name: "TCP in, User Mode Linux", unit: gigabits, higherIsBetter: true, measure: uml(true)},
	{name: "TCP between two machines, BESS", unit: gigabits, higherIsBetter: true, oursOnly: true, measure: betweenPeers},
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
