package main

import (
	"fmt"
	"os"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// all starts the servers and measures what was asked for.
func (r *result) all(p *trial, o options) {
	lab.RequireBinary(p)
	b := &bench{p: p, o: o}
	b.startServers()
	r.measure(b, selectMeasurements(o))
	if o.guard {
		r.again(b)
	}
}

// measure takes measurements of every program, round by round, so that whatever
// else the machine does meets all. Odd rounds run the programs the other way
// round.
func (r *result) measure(b *bench, all []measurement) {
	begin := time.Now()
	for round := range b.o.rounds {
		if b.o.limit != 0 && time.Since(begin) > b.o.limit {
			r.setRounds(round)
			break
		}
		for _, m := range all {
			if m.once && round > 0 {
				continue
			}
			for i := range m.subjects {
				if round%2 == 1 {
					i = len(m.subjects) - 1 - i
				}
				r.take(b, m, m.subjects[i], fmt.Sprintf("round %d/%d", round+1, b.o.rounds))
			}
		}
	}
}

// take is one measurement of one program. What has failed once is left alone
// from then on: its row has no figure of it, but says why.
func (r *result) take(b *bench, m measurement, s *subject, when string) {
	if r.hasFailed(m, s) {
		return
	}
	start := time.Now()
	var samples [][]float64
	err := attempt(func(t *trial) {
		samples = m.run(&bench{p: t, o: b.o}, s)
	})
	if err == nil {
		err = usable(samples)
	}
	for i, row := range m.rows {
		if err != nil {
			r.fail(row, s, err)
			fmt.Fprintf(os.Stderr, "%s: %-50s %-8s FAILED: %v\n", when, row.name, s.name, err)
			continue
		}
		if len(samples[i]) == 0 {
			continue // it has no such figure
		}
		r.add(row, s, samples[i])
		fmt.Fprintf(os.Stderr, "%s: %-50s %-8s %s %s (%.1f s)\n", when, row.name,
			s.name, summarize(samples[i]).short(), row.unit, time.Since(start).Seconds())
	}
}
