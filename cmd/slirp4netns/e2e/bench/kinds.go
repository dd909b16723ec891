package main

import (
	"fmt"
	"slices"
)

// method gives one or more samples for each row of a measurement.
type method = func(*bench, *subject) [][]float64

// rateOf is a measurement of one row, in events each second.
func rateOf(who []*subject, name string, headline bool, fn method) measurement {
	return measurement{subjects: who, run: fn, rows: []row{
		{name: name, unit: perSecond, higherIsBetter: true, headline: headline},
	}}
}

// bulkOf is one of a row in Gbit/s.
func bulkOf(who []*subject, name string, fn method) measurement {
	return measurement{subjects: who, run: fn, rows: []row{{name: name, unit: gigabits, higherIsBetter: true}}}
}

// readyOf is one of the time of a start.
func readyOf(name string, headline bool, how start) measurement {
	return measurement{subjects: slirps, run: startUp(how), rows: []row{
		{name: readyName(name), unit: milliseconds, headline: headline},
	}}
}

func readyName(how string) string { return "from exec to ready, " + how }

// gapOf is one of the longest gap of a transfer.
func gapOf(way string) measurement {
	return measurement{subjects: slirps, once: true, run: longestGap(way), rows: []row{
		{name: gapName(way), unit: milliseconds},
	}}
}

func gapName(way string) string { return fmt.Sprintf("longest gap of TCP %s, MTU %d", way, gapMTU) }

// bulk is the throughput in one way, and what it costs.
func bulk(way string, mtu, streams int) measurement {
	name := fmt.Sprintf("TCP %s, MTU %d", way, mtu)
	if streams > 1 {
		name += fmt.Sprintf(", %d streams", streams)
	}
	return measurement{subjects: carriers(way, mtu, streams), run: throughput(way, mtu, streams), rows: []row{
		{name: name, unit: gigabits, higherIsBetter: true, headline: streams == 1 && mtu != 9000},
		{name: name + processorTime, unit: secondsPerGB},
	}}
}

// carriers are who takes part in that: RootlessKit's drivers at the lowest and
// at the highest MTU.
func carriers(way string, mtu, streams int) []*subject {
	if streams > 1 || mtu == 9000 {
		return withLoopback
	}
	if way == "forwarded" {
		return []*subject{ours, theirs, pasta, builtin, vsock, loopback}
	}
	return []*subject{ours, theirs, pasta, vsock, loopback}
}

// selectMeasurements are those that were asked for.
func selectMeasurements(o options) (selected []measurement) {
	for _, m := range measurements() {
		if o.guard {
			m.subjects = slirps
		}
		if slices.ContainsFunc(m.rows, func(r row) bool {
			return (o.only == nil || o.only.MatchString(r.name)) && (!o.guard || guarded(r))
		}) {
			selected = append(selected, m)
		}
	}
	return selected
}
