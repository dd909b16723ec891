package main

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// measurement gives the samples of one or more rows.
type measurement struct {
	subjects []*subject
	rows     []row
	// run gives one or more samples for each row.
	run func(b *bench, s *subject) [][]float64
	// once is for what takes long and hardly varies: only in the first round.
	once bool
}

// row is one line of the result.
type row struct {
	name string
	unit string
	// higherIsBetter: a rate; else a time, or memory.
	higherIsBetter bool
	// headline rows are those of the README and of the plot.
	headline bool
	// floor is how many times better than the C program a build has to be
	// lest -guard fail: well below what is measured, since machines differ.
	// 0: it is not looked at.
	floor float64
}

const (
	gigabits      = "Gbit/s"
	perSecond     = "1/s"
	microseconds  = "µs"
	milliseconds  = "ms"
	mebibytes     = "MiB"
	secondsPerGB  = "s"
	perIdleSecond = "wake-ups/s"
)

// processorTime follows the name of a row of throughput.
const processorTime = ", processor time for 1 GB"

// measurements are all, in the order of the tables.
func measurements() (all []measurement) {
	for _, mtu := range []int{1500, 9000, 65520} {
		for _, streams := range []int{1, 8} {
			for _, way := range []string{"out", "in", "forwarded"} {
				all = append(all, bulk(way, mtu, streams))
			}
		}
	}
	return append(all,
		measurement{subjects: withLoopback, run: requestResponse, rows: []row{
			{name: "TCP request and response of 1 byte, mean", unit: microseconds, headline: true, floor: 0.33},
			{name: "TCP request and response of 1 byte, 50 %", unit: microseconds},
			{name: "TCP request and response of 1 byte, 99 %", unit: microseconds},
		}},
		measurement{subjects: withLoopback, run: requestResponses, rows: []row{
			{name: "TCP requests and responses, 16 connections", unit: perSecond, higherIsBetter: true, headline: true, floor: 0.33},
			{name: "TCP requests and responses, 16 connections, 50 %", unit: microseconds},
			{name: "TCP requests and responses, 16 connections, 99 %", unit: microseconds},
		}},
		measurement{subjects: withLoopback, run: connectClose(1), rows: []row{
			{name: "TCP connect, 1 byte each way, close", unit: perSecond, higherIsBetter: true, headline: true, floor: 0.33},
		}},
		measurement{subjects: withLoopback, run: connectClose(16), rows: []row{
			{name: "TCP connect, 1 byte each way, close, 16 workers", unit: perSecond, higherIsBetter: true, headline: true},
		}},
		measurement{subjects: withPasta, run: datagramExchange(1), rows: []row{
			{name: "UDP request and response of 64 bytes", unit: perSecond, higherIsBetter: true, headline: true, floor: 0.33},
		}},
		measurement{subjects: withPasta, run: oneWay(64, false), rows: []row{
			{name: "UDP out, 64 bytes, received", unit: perSecond, higherIsBetter: true, headline: true},
		}},
		measurement{subjects: withPasta, run: oneWay(1400, false), rows: []row{
			{name: "UDP out, 1400 bytes, received", unit: perSecond, higherIsBetter: true},
		}},
		measurement{subjects: withPasta, run: oneWay(64, true), rows: []row{
			{name: "UDP in, 64 bytes, received", unit: perSecond, higherIsBetter: true},
		}},
		measurement{subjects: withPasta, run: oneWay(1400, true), rows: []row{
			{name: "UDP in, 1400 bytes, received", unit: perSecond, higherIsBetter: true},
		}},
		measurement{subjects: slirps, run: forwardedEcho, rows: []row{
			{name: "UDP echo through a forward, 16 clients", unit: perSecond, higherIsBetter: true},
		}},
		measurement{subjects: slirps, run: nameQueries, rows: []row{
			{name: "DNS queries, 16 at a time", unit: perSecond, higherIsBetter: true, headline: true, floor: 0.4},
		}},
		measurement{subjects: withPasta, run: webRequests(true), rows: []row{
			{name: "HTTP requests, kept alive, 16 at a time", unit: perSecond, higherIsBetter: true},
		}},
		measurement{subjects: withPasta, run: webRequests(false), rows: []row{
			{name: "HTTP requests, one each connection, 16 at a time", unit: perSecond, higherIsBetter: true, headline: true},
		}},
		measurement{subjects: slirps, run: startUp(), rows: []row{
			{name: "from exec to ready, with --configure", unit: milliseconds, headline: true},
		}},
		measurement{subjects: slirps, run: startUpOf(lab.Installed), rows: []row{
			{name: "from exec to ready, with --configure and slirp-child", unit: milliseconds},
		}},
		measurement{subjects: slirps, run: startUp("--enable-sandbox", "--enable-seccomp"), rows: []row{
			{name: "from exec to ready, sandbox and seccomp", unit: milliseconds},
		}},
		measurement{subjects: slirps, once: true, run: idle, rows: []row{
			{name: "idle, resident memory", unit: mebibytes, headline: true},
			{name: "idle, proportional memory", unit: mebibytes},
			{name: "idle", unit: perIdleSecond},
		}},
		measurement{subjects: slirps, once: true, run: holding(1000), rows: []row{
			{name: "1,000 open connections, resident memory", unit: mebibytes, headline: true},
			{name: "1,000 open connections, 60 s after their end", unit: mebibytes},
		}},
		measurement{subjects: alone, once: true, run: holding(10000), rows: []row{
			{name: "10,000 open connections, resident memory", unit: mebibytes},
			{name: "10,000 open connections, 60 s after their end", unit: mebibytes},
		}},
		measurement{subjects: slirps, run: besideASleeper, rows: []row{
			{name: "TCP in, MTU 1500, beside a reader that sleeps", unit: gigabits, higherIsBetter: true},
			{name: "resident memory then", unit: mebibytes},
		}},
		measurement{subjects: alone, run: besideClients(0), rows: []row{
			{name: "TCP out, MTU 1500, control socket, no client", unit: gigabits, higherIsBetter: true},
		}},
		measurement{subjects: alone, run: besideClients(200), rows: []row{
			{name: "TCP out, MTU 1500, control socket, 200 idle clients", unit: gigabits, higherIsBetter: true},
		}},
		measurement{subjects: slirps, once: true, run: longestGap, rows: []row{
			{name: "longest gap of TCP in at MTU 65520, in 30 s", unit: milliseconds},
		}},
		measurement{subjects: slirps, run: bess(1500, false), rows: []row{{name: "TCP out, BESS, MTU 1500", unit: gigabits, higherIsBetter: true}}},
		measurement{subjects: slirps, run: bess(1500, true), rows: []row{{name: "TCP in, BESS, MTU 1500", unit: gigabits, higherIsBetter: true}}},
		measurement{subjects: slirps, run: bess(65520, false), rows: []row{{name: "TCP out, BESS, MTU 65520", unit: gigabits, higherIsBetter: true}}},
		measurement{subjects: slirps, run: bess(65520, true), rows: []row{{name: "TCP in, BESS, MTU 65520", unit: gigabits, higherIsBetter: true}}},
		measurement{subjects: slirps, run: uml(false), rows: []row{{name: "TCP out, User Mode Linux", unit: gigabits, higherIsBetter: true}}},
		measurement{subjects: slirps, run: uml(true), rows: []row{{name: "TCP in, User Mode Linux", unit: gigabits, higherIsBetter: true}}},
		measurement{subjects: alone, run: betweenPeers, rows: []row{{name: "TCP between two machines, BESS", unit: gigabits, higherIsBetter: true}}},
	)
}

// bulk is the throughput in one way, and what it costs.
func bulk(way string, mtu, streams int) measurement {
	name := fmt.Sprintf("TCP %s, MTU %d", way, mtu)
	if streams > 1 {
		name += fmt.Sprintf(", %d streams", streams)
	}
	m := measurement{subjects: carriers(way, mtu, streams), run: throughput(way, mtu, streams), rows: []row{
		{name: name, unit: gigabits, higherIsBetter: true, headline: streams == 1 && mtu != 9000},
	}}
	if streams == 1 && mtu == 1500 {
		m.rows[0].floor = 2
	}
	if streams == 1 {
		m.rows = append(m.rows, row{name: name + processorTime, unit: secondsPerGB})
	}
	return m
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
func selectMeasurements(p *lab.Program, o options) (selected []measurement) {
	only, err := regexp.Compile(o.only)
	if err != nil {
		p.Fatalf("-only: %v", err)
	}
	for _, m := range measurements() {
		if o.guard {
			m.subjects = slirps
		}
		if slices.ContainsFunc(m.rows, func(r row) bool {
			return only.MatchString(r.name) && (!o.guard || r.floor != 0)
		}) {
			selected = append(selected, m)
		}
	}
	return selected
}
