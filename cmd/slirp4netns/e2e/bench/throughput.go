package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// throughput is that of TCP between the guest and the host's loopback, as
// the receiver saw it, without the first second, and what the data plane
// used of the processors.
func throughput(way string, mtu, streams int) method {
	return func(b *bench, s *subject) [][]float64 {
		var rate, cost []float64
		b.connected(s, setup{mtu: mtu, forward: way == "forwarded"}, func(at *place) {
			before := b.cpu(at.pids)
			report := b.transfer(at, way, streams)
			rate = []float64{report.gigabits()}
			if len(at.pids) != 0 {
				cost = []float64{(b.cpu(at.pids) - before) / report.gigabytes(b)}
			}
		})
		return [][]float64{rate, cost}
	}
}

// transfer runs iperf3 in one way.
func (b *bench) transfer(at *place, way string, streams int) *report {
	args := []string{"-P", strconv.Itoa(streams)}
	switch way {
	case "out":
	case "in":
		args = append(args, "-R")
	case "forwarded":
		if at.guest != nil {
			p := b.p.part()
			defer p.Close()
			b.startIperf(p, at)
			return b.iperf(host, "127.0.0.1", forwardPort, args...)
		}
	}
	return b.iperf(at, at.gateway, iperfPort, args...)
}

// iperf runs a client.
func (b *bench) iperf(at *place, server string, port int, args ...string) *report {
	args = append(b.iperfArgs(server, port), args...)
	for tries := 1; ; tries++ {
		if err := awaitListener(lab.Host, iperfPort); err != nil {
			b.p.Fatalf("iperf3 -s: %v", err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), b.rate()+30*time.Second)
		out, err := at.command(ctx, "iperf3", args...).Output()
		cancel()
		r, bad := readReport(out)
		if bad == nil && err == nil {
			return r
		}
		if !errors.Is(bad, errTurnedAway) || tries == maxTries {
			b.p.Fatalf("iperf3 %v: %v", args, errors.Join(bad, err))
		}
		// It is still busy with the one before. Nothing was measured.
		time.Sleep(100 * time.Millisecond)
	}
}

// maxTries is how often a client asks a server that turns it away.
const maxTries = 5

// warmUp is how many seconds of iperf3 do not count. The guard, whose limits
// are wide, does without.
func (b *bench) warmUp() int {
	if b.o.guard {
		return 0
	}
	return 1
}

// iperfArgs are those of every client.
func (b *bench) iperfArgs(server string, port int) []string {
	return []string{"-J", "-4", "-c", server, "-p", strconv.Itoa(port), "-O", strconv.Itoa(b.warmUp()), "-t", strconv.Itoa(b.o.seconds)}
}
