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
		{row: "from exec to ready, with --configure", unit: milliseconds, of: theirs, atMost: 3},
		{row: "from exec to ready, with --configure and slirp-child", unit: milliseconds, of: theirs, atMost: 3},
		{row: "from exec to ready, sandbox and seccomp", unit: milliseconds, of: theirs, atMost: 4},
		{row: "idle, resident memory", unit: mebibytes, atMost: 12},
		{row: "idle", unit: perIdleSecond, atMost: 1},
		{row: "1,000 open connections, resident memory", unit: mebibytes, atMost: 48},
		{row: "1,000 open connections, 60 s after their end", unit: mebibytes, ofRow: "idle, resident memory", atMost: 1.5},
	})

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

// find is the row of that name and unit, nil if it was not measured.
func (r *result) find(name, unit string) *entry {
	i := slices.IndexFunc(r.Rows, func(e *entry) bool { return e.Name == name && e.Unit == unit })
	if i < 0 {
		return nil
	}
	return r.Rows[i]
}

// reached is what a target compares, and whether it is there: "was not
// measured" is not.
func (r *result) reached(t target) (value float64, there bool) {
	e := r.find(t.row, t.unit)
	if e == nil {
		return 0, false
	}
	value = e.of(ours).Median
	var base float64
	switch {
	case t.of != nil:
		base = e.of(t.of).Median
	case t.ofRow != "":
		if other := r.find(t.ofRow, t.unit); other != nil {
			base = other.of(ours).Median
		}
	default:
		base = 1
	}
	if value == 0 || base == 0 {
		return 0, false
	}
	value /= base
	return value, value >= t.atLeast && (t.atMost == 0 || value <= t.atMost)
}

// targetTable is all targets in Markdown.
func (r *result) targetTable() string {
	var b strings.Builder
	b.WriteString("| row | wanted | is | |\n|---|---|---|---|\n")
	for _, t := range targets {
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
		is, verdict := "–", "not measured"
		if value, there := r.reached(t); value != 0 {
			is, verdict = number(value), "**missed**"
			if there {
				verdict = "reached"
			}
		}
		fmt.Fprintf(&b, "| %s, %s | %s %s%s | %s | %s |\n", t.row, t.unit, sign, number(limit), unit, is, verdict)
	}
	return b.String()
}
