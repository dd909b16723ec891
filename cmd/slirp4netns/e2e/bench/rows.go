package main

import (
	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// measurement gives the samples of one or more rows.
type measurement struct {
	subjects []*subject
	rows     []row
	run      method
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
		measurement{subjects: stacks, run: requestResponse, rows: []row{
			{name: "TCP request and response of 1 byte, mean", unit: microseconds, headline: true},
			{name: "TCP request and response of 1 byte, 50 %", unit: microseconds},
			{name: "TCP request and response of 1 byte, 99 %", unit: microseconds},
		}},
		measurement{subjects: stacks, run: requestResponses, rows: []row{
			{name: "TCP requests and responses, 16 connections", unit: perSecond, higherIsBetter: true, headline: true},
			{name: "TCP requests and responses, 16 connections, 50 %", unit: microseconds},
			{name: "TCP requests and responses, 16 connections, 99 %", unit: microseconds},
		}},
		rateOf(stacks, "TCP connect, 1 byte each way, close", true, connectClose(1)),
		rateOf(stacks, "TCP connect, 1 byte each way, close, 16 workers", true, connectClose(16)),
		rateOf(stacks, "UDP request and response of 64 bytes", true, datagramExchange(1)),
		rateOf(stacks, "UDP out, 64 bytes, received", true, oneWay(64, false)),
		rateOf(stacks, "UDP out, 1400 bytes, received", false, oneWay(1400, false)),
		rateOf(stacks, "UDP in, 64 bytes, received", false, oneWay(64, true)),
		rateOf(stacks, "UDP in, 1400 bytes, received", false, oneWay(1400, true)),
		rateOf(forwarders, "UDP echo through a forward, 16 clients", false, forwardedEcho),
		rateOf(resolving, "DNS queries, 16 at a time", true, nameQueries),
		rateOf(stacks, "HTTP requests, kept alive, 16 at a time", false, webRequests(true)),
		rateOf(stacks, "HTTP requests, one each connection, 16 at a time", true, webRequests(false)),
		readyOf("exit-fd", true, start{}),
		readyOf("exit-fd, slirp-child", false, start{binary: lab.Installed}),
		readyOf("no exit-fd", true, start{noExitFD: true}),
		readyOf("exit-fd, locked", false, start{args: locked}),
		readyOf("no exit-fd, locked", false, start{args: locked, noExitFD: true}),
		measurement{subjects: slirps, once: true, run: idle, rows: []row{
			{name: "idle, resident memory", unit: mebibytes, headline: true},
			{name: "idle, proportional memory", unit: mebibytes},
			{name: "idle", unit: perIdleSecond},
		}},
		measurement{subjects: slirps, once: true, run: holding(1000), rows: []row{
			{name: "1,000 open connections, resident memory", unit: mebibytes, headline: true},
			{name: "1,000 open connections, 60 s after their end", unit: mebibytes},
		}},
		measurement{subjects: slirps, once: true, run: holding(10000), rows: []row{
			{name: "10,000 open connections, resident memory", unit: mebibytes},
			{name: "10,000 open connections, 60 s after their end", unit: mebibytes},
		}},
		measurement{subjects: slirps, run: besideASleeper, rows: []row{
			{name: "TCP in, MTU 1500, beside a reader that sleeps", unit: gigabits, higherIsBetter: true},
			{name: "resident memory then", unit: mebibytes},
		}},
		bulkOf(alone, "TCP out, MTU 1500, control socket, no client", besideClients(0)),
		bulkOf(alone, "TCP out, MTU 1500, control socket, 200 idle clients", besideClients(200)),
		gapOf("out"), gapOf("in"), gapOf("forwarded"),
		bulkOf(slirps, "TCP out, BESS, MTU 1500", bess(1500, false)),
		bulkOf(slirps, "TCP in, BESS, MTU 1500", bess(1500, true)),
		bulkOf(slirps, "TCP out, BESS, MTU 65520", bess(65520, false)),
		bulkOf(slirps, "TCP in, BESS, MTU 65520", bess(65520, true)),
		measurement{subjects: slirps, run: bessRequestResponse, rows: []row{
			{name: "TCP request and response of 1 byte, BESS, mean", unit: microseconds},
			{name: "TCP request and response of 1 byte, BESS, 50 %", unit: microseconds},
			{name: "TCP request and response of 1 byte, BESS, 99 %", unit: microseconds},
		}},
		rateOf(slirps, "UDP request and response of 64 bytes, BESS", false, bessDatagrams),
		bulkOf(slirps, "TCP out, User Mode Linux", uml(false)),
		bulkOf(slirps, "TCP in, User Mode Linux", uml(true)),
		bulkOf(alone, "TCP between two machines, BESS", betweenPeers),
	)
}
