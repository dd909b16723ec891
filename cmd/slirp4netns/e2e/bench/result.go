package main

import (
	"slices"
	"time"
)

// result is docs/benchmarks.json. What its head says is true of the rows that
// say nothing else.
type result struct {
	Date    string   `json:"date"`
	Machine machine  `json:"machine"`
	Rounds  int      `json:"rounds"`
	Seconds int      `json:"seconds"`
	Long    float64  `json:"long_seconds"`
	Rows    []*entry `json:"rows"`
}

// entry is a row with its samples.
type entry struct {
	Name           string              `json:"name"`
	Unit           string              `json:"unit"`
	HigherIsBetter bool                `json:"higher_is_better"`
	Subjects       map[string]*summary `json:"subjects"` // by their names
	// Failed says, by their names, why others have no figure here.
	Failed map[string]string `json:"failed,omitempty"`
	// Factor says how many times better ours is than the C program, by the
	// medians. 0: there is nothing to compare with.
	Factor float64 `json:"factor"`
	// When it was measured, and which commit of this program.
	Date    string `json:"date"`
	Commit  string `json:"commit"`
	Rounds  int    `json:"rounds"`
	Seconds int    `json:"seconds"`
}

// summary is what is known of one subject in one row.
type summary struct {
	Median  float64   `json:"median"`
	Min     float64   `json:"min"`
	Max     float64   `json:"max"`
	Samples []float64 `json:"samples"`
}

// newResult is a result without rows.
func newResult(o options) *result {
	return &result{
		Date:    time.Now().UTC().Format(time.DateOnly),
		Machine: thisMachine(),
		Rounds:  o.rounds,
		Seconds: o.seconds,
		Long:    o.long.Seconds(),
	}
}

// entry is that of a row, which is there from then on.
func (r *result) entry(row row) *entry {
	e := r.find(row.name, row.unit)
	if e == nil {
		e = &entry{Name: row.name, Unit: row.unit, HigherIsBetter: row.higherIsBetter,
			Subjects: make(map[string]*summary), Failed: make(map[string]string),
			Date: r.Date, Commit: r.Machine.commit(), Rounds: r.Rounds, Seconds: r.Seconds}
		r.Rows = append(r.Rows, e)
	}
	return e
}

// setRounds says how many rounds there were after all.
func (r *result) setRounds(n int) {
	r.Rounds = n
	for _, e := range r.Rows {
		e.Rounds = n
	}
}

// gives tells whether a measurement has that row.
func (m measurement) gives(name, unit string) bool {
	return slices.ContainsFunc(m.rows, func(r row) bool { return r.name == name && r.unit == unit })
}

// add adds samples of a subject to a row.
func (r *result) add(row row, who *subject, samples []float64) {
	e := r.entry(row)
	e.Subjects[who.name] = summarize(append(e.of(who).Samples, samples...))
	e.compare()
}

// compare computes the factor.
func (e *entry) compare() {
	e.Factor = 0
	if a, b := e.of(ours).Median, e.of(theirs).Median; a > 0 && b > 0 {
		e.Factor = a / b
		if !e.HigherIsBetter {
			e.Factor = 1 / e.Factor
		}
	}
}

// of is what is known of a subject.
func (e *entry) of(who *subject) summary {
	if s := e.Subjects[who.name]; s != nil {
		return *s
	}
	return summary{}
}

// find is the row of that name and unit, nil if it was not measured.
func (r *result) find(name, unit string) *entry {
	i := slices.IndexFunc(r.Rows, func(e *entry) bool { return e.Name == name && e.Unit == unit })
	if i < 0 {
		return nil
	}
	return r.Rows[i]
}

// headlines are the rows that the README shows.
func (r *result) headlines() (rows []*entry) {
	for _, m := range measurements() {
		for _, row := range m.rows {
			if e := r.find(row.name, row.unit); e != nil && row.headline {
				rows = append(rows, e)
			}
		}
	}
	return rows
}

// summarize orders nothing: the samples stay in the order of the rounds.
func summarize(samples []float64) *summary {
	if len(samples) == 0 {
		return &summary{}
	}
	sorted := slices.Sorted(slices.Values(samples))
	n := len(sorted)
	return &summary{
		Median:  (sorted[(n-1)/2] + sorted[n/2]) / 2,
		Min:     sorted[0],
		Max:     sorted[n-1],
		Samples: samples,
	}
}

// short is the median alone.
func (s *summary) short() string {
	if len(s.Samples) == 0 {
		return "–"
	}
	return number(s.Median)
}
