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
			args := []string{"-J", "-c", "10.0.2.2", "-p", strconv.Itoa(iperfPort), "-O", "1", "-t", strconv.Itoa(b.o.seconds)}
			if in {
				args = append(args, "-R")
			}
			out := g.Run(b.p, time.Duration(b.o.seconds+30)*time.Second, "iperf3", args...)
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
			samples = []float64{report.End.Received.BitsPerSecond / 1e9}
		})
		return samples
	}
}
