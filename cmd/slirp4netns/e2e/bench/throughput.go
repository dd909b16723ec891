package main

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// throughput is that of TCP between the guest and the host's loopback, as
// the receiver saw it, without the first second, and what the data plane
// used of the processors.
func throughput(way string, mtu, streams int) func(*bench, *subject) [][]float64 {
	return func(b *bench, s *subject) [][]float64 {
		var rate, cost []float64
		b.connected(s, setup{mtu: mtu, forward: way == "forwarded"}, func(at *place) {
			var before float64
			if at.pid != 0 {
				before = b.cpu(at.pid)
			}
			report := b.transfer(at, way, streams)
			rate = []float64{report.gigabits()}
			if at.pid != 0 {
				cost = []float64{(b.cpu(at.pid) - before) / report.gigabytes(b)}
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
			p := lab.NewProgram("bench")
			defer p.Close()
			b.startIperf(p, at, at.ns, "127.0.0.1")
			return b.iperf(host, "127.0.0.1", forwardPort, args...)
		}
	}
	return b.iperf(at, at.gateway, iperfPort, args...)
}

// iperf runs a client.
func (b *bench) iperf(at *place, server string, port int, args ...string) *report {
	args = append(b.iperfArgs(server, port), args...)
	for tries := 1; ; tries++ {
		ctx, cancel := context.WithTimeout(context.Background(), b.rate()+30*time.Second)
		out, err := at.command(ctx, "iperf3", args...).Output()
		cancel()
		var r report
		if err == nil {
			err = json.Unmarshal(out, &r)
		}
		switch {
		case err == nil && (r.End.Received.BitsPerSecond != 0 || r.End.Sum.Packets != 0):
			return &r
		case err != nil || len(r.Start.Connected) != 0 || tries == maxTries:
			b.p.Fatalf("iperf3 %v: %v\n%s", args, err, out)
		}
		// A server that still looks at the one before (await) turns others
		// away. Nothing was measured.
		time.Sleep(100 * time.Millisecond)
	}
}

// maxTries is how often a client asks a server that turns it away.
const maxTries = 5

// iperfArgs are those of every client. The first second does not count.
func (b *bench) iperfArgs(server string, port int) []string {
	return []string{"-J", "-4", "-c", server, "-p", strconv.Itoa(port), "-O", "1", "-t", strconv.Itoa(b.o.seconds)}
}

// report is the part of iperf3's that we need.
type report struct {
	Start struct {
		Connected []struct{} `json:"connected"`
	} `json:"start"`
	End struct {
		Sum struct { // of UDP
			Seconds float64 `json:"seconds"`
			Packets float64 `json:"packets"`
			Lost    float64 `json:"lost_packets"`
		} `json:"sum"`
		Received struct {
			Bytes         float64 `json:"bytes"`
			BitsPerSecond float64 `json:"bits_per_second"`
		} `json:"sum_received"`
	} `json:"end"`
}

// parse reads what a client printed.
func (b *bench) parse(out string) *report {
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		b.p.Fatalf("iperf3: %v\n%s", err, out)
	}
	if r.End.Received.BitsPerSecond == 0 && r.End.Sum.Packets == 0 {
		b.p.Fatalf("iperf3 received nothing:\n%s", out)
	}
	return &r
}

// gigabits is what the receiver saw, in Gbit/s.
func (r *report) gigabits() float64 { return r.End.Received.BitsPerSecond / 1e9 }

// gigabytes is what was carried, with the second that does not count.
func (r *report) gigabytes(b *bench) float64 {
	return r.End.Received.BitsPerSecond / 8e9 * (b.rate() + time.Second).Seconds()
}

// delivered is the datagrams that arrived, each second.
func (r *report) delivered() float64 {
	return (r.End.Sum.Packets - r.End.Sum.Lost) / r.End.Sum.Seconds
}
