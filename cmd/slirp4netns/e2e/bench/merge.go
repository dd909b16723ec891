package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// readResult reads what an earlier run wrote.
func readResult(o options) (*result, error) {
	file := filepath.Join(o.docs, "benchmarks.json")
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("no result that rows could be replaced in (run without -only first): %w", err)
	}
	r := new(result)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, e := range r.Rows {
		if e.Date == "" || e.Commit == "" {
			return nil, fmt.Errorf("%s: %q has no date or commit: run all rows again", file, e.Name)
		}
	}
	return r, nil
}

// sameSetting fails where rows of two runs would not compare: on another
// machine or kernel, or with other peers and load generators.
func (r *result) sameSetting(now *result) error {
	before, is := r.Machine, now.Machine
	for _, m := range []*machine{&before, &is} {
		m.Ours, m.Go, m.Memory = "", "", "" // may differ: each row tells its commit
	}
	if before != is {
		return fmt.Errorf("rows of another machine, kernel or peer are in %+v, this is %+v: run all rows again", before, is)
	}
	return nil
}

// merge is this result with the rows of a later one in place of its own.
// Rows that are measured no more are dropped, and all stand in the order of
// the measurements.
func (r *result) merge(later *result) *result {
	merged := *r
	merged.Rows = nil
	for _, m := range measurements() {
		for _, row := range m.rows {
			e := later.find(row.name, row.unit)
			if e == nil {
				e = r.find(row.name, row.unit)
			}
			if e != nil {
				merged.Rows = append(merged.Rows, e)
			}
		}
	}
	return &merged
}

// runs are the different dates and commits of the rows, with how many rows
// each has, in the order of the dates.
func (r *result) runs() (all []runOfRows) {
	for _, e := range r.Rows {
		i := slices.IndexFunc(all, func(x runOfRows) bool {
			return x.date == e.Date && x.commit == e.Commit && x.rounds == e.Rounds && x.seconds == e.Seconds
		})
		if i < 0 {
			i = len(all)
			all = append(all, runOfRows{date: e.Date, commit: e.Commit, rounds: e.Rounds, seconds: e.Seconds})
		}
		all[i].rows = append(all[i].rows, e)
	}
	slices.SortStableFunc(all, func(a, b runOfRows) int {
		return cmp.Or(strings.Compare(a.date, b.date), len(b.rows)-len(a.rows))
	})
	return all
}

// runOfRows are rows that were measured together.
type runOfRows struct {
	date, commit    string
	rounds, seconds int
	rows            []*entry
}
