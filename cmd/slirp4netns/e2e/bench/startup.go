package main

// starts is how many starts there are over all rounds, at least.
const starts = 50

// startUp is the time in ms from exec to the "1" in the ready-fd, with
// --configure, in a new guest each time.
func startUp(args ...string) func(*bench, *subject) [][]float64 { return startUpOf("", args...) }

// startUpOf is startUp of another binary of ours.
func startUpOf(binary string, args ...string) func(*bench, *subject) [][]float64 {
	return func(b *bench, s *subject) [][]float64 {
		var samples []float64
		if s == ours && binary != "" {
			other := *ours
			other.binary = binary
			s = &other
		}
		for range (starts + b.o.rounds - 1) / b.o.rounds {
			b.connected(s, setup{mtu: latencyMTU, args: args}, func(at *place) {
				samples = append(samples, float64(at.ready.Nanoseconds())/1e6)
			})
		}
		return [][]float64{samples}
	}
}
