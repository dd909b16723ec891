package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// result is docs/benchmarks.json.
type result struct {
	Date    string   `json:"date"`
	Machine machine  `json:"machine"`
	Rounds  int      `json:"rounds"`
	Seconds int      `json:"seconds"`
	Rows    []*entry `json:"rows"`
}

// entry is a row with its samples.
type entry struct {
	Name           string              `json:"name"`
	Unit           string              `json:"unit"`
	HigherIsBetter bool                `json:"higher_is_better"`
	Subjects       map[string]*summary `json:"subjects"` // by their names
	// Factor says how many times better ours is than the C program, by the
	// medians. 0: there is nothing to compare with.
	Factor float64 `json:"factor"`

	headline bool
	floor    float64
}

// check fails where a row is below its floor.
func (r *result) check(p *lab.Program) {
	for _, e := range r.Rows {
		if e.Factor < e.floor {
			p.Errorf("%s: %s than the C program, want a factor of %s at least", e.Name, verdict(e.Factor), number(e.floor))
		}
	}
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
	}
}

// add adds samples of a subject to a row.
func (r *result) add(row row, who *subject, samples []float64) {
	if len(samples) == 0 {
		return // it has no such figure
	}
	i := slices.IndexFunc(r.Rows, func(e *entry) bool { return e.Name == row.name && e.Unit == row.unit })
	if i < 0 {
		i = len(r.Rows)
		r.Rows = append(r.Rows, &entry{Name: row.name, Unit: row.unit, HigherIsBetter: row.higherIsBetter,
			Subjects: make(map[string]*summary), headline: row.headline, floor: row.floor})
	}
	e := r.Rows[i]
	e.Subjects[who.name] = summarize(append(e.of(who).Samples, samples...))
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

// headlines are the rows that the README shows.
func (r *result) headlines() (rows []*entry) {
	for _, e := range r.Rows {
		if e.headline {
			rows = append(rows, e)
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

// table is rows in Markdown.
func (r *result) table(rows []*entry) string {
	var b strings.Builder
	b.WriteString("| median (lowest–highest) |")
	for _, s := range subjects {
		fmt.Fprintf(&b, " %s |", s.title)
	}
	b.WriteString(" ours against C |\n|---|")
	b.WriteString(strings.Repeat("---|", len(subjects)+1) + "\n")
	for _, e := range rows {
		fmt.Fprintf(&b, "| %s, %s |", e.Name, e.Unit)
		for _, s := range subjects {
			better := s == ours && e.Factor > 1 || s == theirs && e.Factor != 0 && e.Factor < 1
			fmt.Fprintf(&b, " %s |", e.of(s).cell(better))
		}
		fmt.Fprintf(&b, " %s |\n", verdict(e.Factor))
	}
	return b.String()
}

// number has three significant digits at most.
func number(v float64) string {
	switch {
	case math.Abs(v) >= 10000:
		return fmt.Sprintf("%.0fk", v/1000)
	case math.Abs(v) >= 100:
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// cell is the summary in a table, bold for the better one.
func (s summary) cell(better bool) string {
	if len(s.Samples) == 0 {
		return "–"
	}
	median := number(s.Median)
	if better {
		median = "**" + median + "**"
	}
	return fmt.Sprintf("%s (%s–%s)", median, number(s.Min), number(s.Max))
}

// verdict says in words what a factor means.
func verdict(factor float64) string {
	if factor == 0 { // there is nothing to compare with
		return "–"
	}
	if factor < 1 {
		return number(1/factor) + "× worse"
	}
	return number(factor) + "× better"
}
