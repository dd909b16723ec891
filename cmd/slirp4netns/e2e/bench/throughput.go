package main

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// iperf is the throughput of one TCP connection between the guest and the
// host's loopback, as the receiver saw it, without the first second.
func iperf(mtu int, in bool) func(*bench, string) []float64 {
	return func(b *bench, binary string) (samples []float64) {
		b.connected(binary, mtu, func(g *lab.Guest, _ *lab.Slirp) {
			samples = []float64{b.iperfIn(g, "10.0.2.2", in)}
		})
		return samples
	}
}

// iperfIn runs a client in a guest, and returns Gbit/s.
func (b *bench) iperfIn(g *lab.Guest, server string, in bool) float64 {
	return b.received(g.Run(b.p, time.Duration(b.o.seconds+30)*time.Second, "iperf3", b.iperfArgs(server, in)...))
}

// iperfArgs are those of a client.
func (b *bench) iperfArgs(server string, in bool) []string {
	args := []string{"-J", "-c", server, "-p", strconv.Itoa(iperfPort), "-O", "1", "-t", strconv.Itoa(b.o.seconds)}
	if in {
		args = append(args, "-R")
	}
	return args
}

// received is what the receiver saw, in Gbit/s, of a client's report.
func (b *bench) received(out string) float64 {
	var report struct {
		End struct {
			Received struct {
				BitsPerSecond float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		} `json:"end"`
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		b.p.Fatalf("iperf3: %v\n%s", err, out)
	}
	if report.End.Received.BitsPerSecond == 0 {
		b.p.Fatalf("iperf3 received nothing:\n%s", out)
	}
	return report.End.Received.BitsPerSecond / 1e9
}
