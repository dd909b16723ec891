package main

// starts is how many starts there are over all rounds, at least.
const starts = 50

// locked are the options with which Podman starts it.
var locked = []string{"--enable-sandbox", "--enable-seccomp"}

// start is a way to start a slirp4netns.
type start struct {
	args []string
	// binary is in place of ours.
	binary string
	// noExitFD is without the exit-fd that says when to end: the TAP is made
	// such that the end of the namespace is seen.
	noExitFD bool
}

// startUp is the time in ms from exec to the "1" in the ready-fd, with
// --configure, in a new guest each time.
func startUp(how start) method {
	return func(b *bench, s *subject) [][]float64 {
		var samples []float64
		if s == ours && how.binary != "" {
			other := *ours
			other.binary = how.binary
			s = &other
		}
		for range (b.starts() + b.o.rounds - 1) / b.o.rounds {
			b.connected(s, setup{mtu: latencyMTU, args: how.args, noExitFD: how.noExitFD}, func(at *place) {
				samples = append(samples, float64(at.ready.Nanoseconds())/1e6)
			})
		}
		return [][]float64{samples}
	}
}

// starts is how many of them this run wants.
func (b *bench) starts() int {
	if b.o.guard {
		return guardStarts
	}
	return starts
}
