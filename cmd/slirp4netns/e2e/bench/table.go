package main

import (
	"fmt"
	"math"
	"strings"
)

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
