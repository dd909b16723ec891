package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// fail notes why a subject has no figure in a row. Figures that it had are
// taken back: a program that fails in one round of five has none to compare.
func (r *result) fail(row row, who *subject, err error) {
	e := r.entry(row)
	delete(e.Subjects, who.name)
	e.Failed[who.name] = err.Error()
	e.compare()
}

// hasFailed tells whether a measurement failed with a subject.
func (r *result) hasFailed(m measurement, who *subject) bool {
	return slices.ContainsFunc(m.rows, func(row row) bool {
		e := r.find(row.name, row.unit)
		return e != nil && e.Failed[who.name] != ""
	})
}

// usable fails for what nobody can measure, such as what was divided by 0.
func usable(samples [][]float64) error {
	for _, v := range slices.Concat(samples...) {
		if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
			return fmt.Errorf("measured %v", v)
		}
	}
	return nil
}

// failed is an error if a subject failed in any row.
func (r *result) failed(who *subject) error {
	var errs []error
	for _, e := range r.Rows {
		if why := e.Failed[who.name]; why != "" {
			errs = append(errs, fmt.Errorf("%s, %s: %s: %s", e.Name, e.Unit, who.title, why))
		}
	}
	return errors.Join(errs...)
}

// failureList is a Markdown list of what failed. One failure of a measurement
// with several rows is one line.
func (r *result) failureList() string {
	var b strings.Builder
	for _, s := range subjects {
		var last string
		for _, e := range r.Rows {
			why := firstLine(e.Failed[s.name])
			if why != "" && why != last {
				fmt.Fprintf(&b, "- %s, %s: %s\n", e.Name, s.title, why)
			}
			last = why
		}
	}
	return b.String()
}

// firstLine is what of a message goes into a list.
func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.TrimSpace(line)
}
