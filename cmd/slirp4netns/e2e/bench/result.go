package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
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
	Name           string  `json:"name"`
	Unit           string  `json:"unit"`
	HigherIsBetter bool    `json:"higher_is_better"`
	Go             summary `json:"go"`
	C              summary `json:"c"`
	// Factor says how many times better ours is, by the medians.
	Factor float64 `json:"factor"`
}

// summary is what is known of one program in one row.
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

// add adds samples of programs[which] to a row.
func (r *result) add(row row, which int, samples []float64) {
	i := slices.IndexFunc(r.Rows, func(e *entry) bool { return e.Name == row.name })
	if i < 0 {
		i = len(r.Rows)
		r.Rows = append(r.Rows, &entry{Name: row.name, Unit: row.unit, HigherIsBetter: row.higherIsBetter})
	}
	e := r.Rows[i]
	s := []*summary{&e.Go, &e.C}[which]
	*s = summarize(append(s.Samples, samples...))
	if e.Go.Median > 0 && e.C.Median > 0 {
		e.Factor = e.Go.Median / e.C.Median
		if !e.HigherIsBetter {
			e.Factor = 1 / e.Factor
		}
	}
}

// summarize orders nothing: the samples stay in the order of the rounds.
func summarize(samples []float64) summary {
	sorted := slices.Sorted(slices.Values(samples))
	n := len(sorted)
	return summary{
		Median:  (sorted[(n-1)/2] + sorted[n/2]) / 2,
		Min:     sorted[0],
		Max:     sorted[n-1],
		Samples: samples,
	}
}

// table is the rows in Markdown.
func (r *result) table() string {
	var b strings.Builder
	b.WriteString("| median (lowest–highest) | this program | C slirp4netns | ours is |\n|---|---|---|---|\n")
	for _, e := range r.Rows {
		fmt.Fprintf(&b, "| %s, %s | %s | %s | %s |\n", e.Name, e.Unit, e.Go.cell(e.Factor > 1), e.C.cell(e.Factor < 1), verdict(e.Factor))
	}
	return b.String()
}

// number has three significant digits at most.
func number(v float64) string {
	switch {
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
