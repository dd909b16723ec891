package main

import (
	"fmt"
	"slices"
	"strings"
)

// target is what a row should reach.
type target struct {
	row, unit string
	// of is whose median ours is divided by; nil: that of ofRow, or nobody's.
	of    *subject
	ofRow string
	// atLeast or atMost is what the quotient, or our median itself in the
	// row's unit, should be.
	atLeast, atMost float64
}

// targets are the aims of the project, in the order of the rows.
var targets = slices.Concat(
	bulkTargets(),
	[]target{
		{row: "TCP request and response of 1 byte, mean", unit: microseconds, of: theirs, atMost: 1},
		{row: "TCP request and response of 1 byte, 99 %", unit: microseconds, of: theirs, atMost: 1},
		{row: "TCP requests and responses, 16 connections", unit: perSecond, of: theirs, atLeast: 1},
		{row: "TCP requests and responses, 16 connections, 99 %", unit: microseconds, of: theirs, atMost: 1},
		{row: "TCP connect, 1 byte each way, close", unit: perSecond, of: theirs, atLeast: 1},
		{row: "TCP connect, 1 byte each way, close, 16 workers", unit: perSecond, of: theirs, atLeast: 2.5},
		{row: "UDP request and response of 64 bytes", unit: perSecond, of: theirs, atLeast: 1},
	},
	datagramTargets(),
	[]target{
		{row: "DNS queries, 16 at a time", unit: perSecond, of: theirs, atLeast: 1.5},
		{row: "HTTP requests, one each connection, 16 at a time", unit: perSecond, of: theirs, atLeast: 2},
		{row: readyName("exit-fd"), unit: milliseconds, of: theirs, atMost: 3},
		{row: readyName("exit-fd, slirp-child"), unit: milliseconds, of: theirs, atMost: 3},
		{row: readyName("no exit-fd"), unit: milliseconds, of: theirs, atMost: 3},
		{row: readyName("exit-fd, locked"), unit: milliseconds, of: theirs, atMost: 4},
		{row: readyName("no exit-fd, locked"), unit: milliseconds, of: theirs, atMost: 4},
		{row: "idle, resident memory", unit: mebibytes, atMost: 12},
		{row: "idle", unit: perIdleSecond, atMost: 1},
		{row: "1,000 open connections, resident memory", unit: mebibytes, atMost: 48},
		{row: "1,000 open connections, 60 s after their end", unit: mebibytes, ofRow: "idle, resident memory", atMost: 1.5},
		{row: gapName("out"), unit: milliseconds, atMost: stall},
		{row: gapName("in"), unit: milliseconds, atMost: stall},
		{row: gapName("forwarded"), unit: milliseconds, atMost: stall},
	})

// stall is a gap, in ms, for which TCP's shortest retransmission time-out is
// waited for: then a connection stood still.
const stall = 200

// bulkTargets are those of the throughput of one stream, and of its cost.
func bulkTargets() (all []target) {
	for _, aim := range []struct {
		mtu         int
		way         string
		c, loopback float64
		cost        float64
	}{
		{1500, "out", 12, 0.36, 0.15},
		{1500, "in", 5, 0.45, 0.15},
		{1500, "forwarded", 5, 0.45, 0.15},
		{65520, "out", 3, 0, 0.6},
		{65520, "in", 2.5, 0, 0.6},
		{65520, "forwarded", 2.2, 0, 0.6},
	} {
		name := fmt.Sprintf("TCP %s, MTU %d", aim.way, aim.mtu)
		all = append(all, target{row: name, unit: gigabits, of: theirs, atLeast: aim.c})
		if aim.loopback != 0 {
			all = append(all, target{row: name, unit: gigabits, of: loopback, atLeast: aim.loopback})
		}
		if aim.mtu == 65520 && aim.way == "in" {
			all = append(all, target{row: name, unit: gigabits, of: pasta, atLeast: 0.95})
		}
		all = append(all, target{row: name + processorTime, unit: secondsPerGB, of: theirs, atMost: aim.cost})
	}
	return all
}

// datagramTargets are those of datagrams one way.
func datagramTargets() (all []target) {
	for _, way := range []string{"out", "in"} {
		for _, size := range []int{64, 1400} {
			name := fmt.Sprintf("UDP %s, %d bytes, received", way, size)
			all = append(all,
				target{row: name, unit: perSecond, of: theirs, atLeast: 1.5},
				target{row: name, unit: perSecond, of: pasta, atLeast: 1})
		}
	}
	return all
}

// verdicts on a target.
const (
	reached     = "reached"
	missed      = "**missed**"
	notMeasured = "not measured"
)

// judge is what a target compares, and the verdict on it.
func (r *result) judge(t target) (value float64, verdict string) {
	e := r.find(t.row, t.unit)
	if e == nil || len(e.of(ours).Samples) == 0 {
		return 0, notMeasured
	}
	base := 1.0
	switch {
	case t.of != nil:
		base = e.of(t.of).Median
	case t.ofRow != "":
		base = 0
		if other := r.find(t.ofRow, t.unit); other != nil {
			base = other.of(ours).Median
		}
	}
	if base == 0 {
		return 0, notMeasured
	}
	value = e.of(ours).Median / base
	if value >= t.atLeast && (t.atMost == 0 || value <= t.atMost) {
		return value, reached
	}
	return value, missed
}

// is says what a target compares, and how: "≥ 2× C slirp4netns".
func (t target) is() string {
	sign, limit := "≥", t.atLeast
	if t.atMost != 0 {
		sign, limit = "≤", t.atMost
	}
	unit := " " + t.unit
	switch {
	case t.of != nil:
		unit = "× " + t.of.title
	case t.ofRow != "":
		unit = "× “" + t.ofRow + "”"
	}
	return fmt.Sprintf("%s %s%s", sign, number(limit), unit)
}

// targetTable is all targets in Markdown.
func (r *result) targetTable() string {
	var b strings.Builder
	b.WriteString("| row | aim | measured | |\n|---|---|---|---|\n")
	for _, t := range targets {
		value, verdict := r.judge(t)
		is := number(value)
		if verdict == notMeasured {
			is = "–"
		}
		fmt.Fprintf(&b, "| %s, %s | %s | %s | %s |\n", t.row, t.unit, t.is(), is, verdict)
	}
	return b.String()
}
