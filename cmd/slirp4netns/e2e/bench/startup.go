package main

import "github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"

// starts is how many starts there are over all rounds, at least.
const starts = 50

// startUp is the time in ms from exec to the "1" in the ready-fd, with
// --configure, in a new guest each time.
func startUp(b *bench, binary string) (samples []float64) {
	for range (starts + b.o.rounds - 1) / b.o.rounds {
		b.connected(binary, latencyMTU, func(_ *lab.Guest, s *lab.Slirp) {
			samples = append(samples, float64(s.Ready.Nanoseconds())/1e6)
		})
	}
	return samples
}
