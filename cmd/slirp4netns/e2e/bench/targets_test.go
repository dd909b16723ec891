package main

import (
	"slices"
	"testing"
)

// A target of a row that no measurement gives would never be missed.
func TestTargetsAreMeasured(t *testing.T) {
	measured := func(name, unit string, who *subject) bool {
		return slices.ContainsFunc(measurements(), func(m measurement) bool {
			return slices.Contains(m.subjects, who) && slices.ContainsFunc(m.rows, func(r row) bool {
				return r.name == name && r.unit == unit
			})
		})
	}
	for _, target := range targets {
		for _, who := range []*subject{ours, target.of} {
			if who != nil && !measured(target.row, target.unit, who) {
				t.Errorf("nothing measures %q in %s of %s", target.row, target.unit, who.title)
			}
		}
		if target.ofRow != "" && !measured(target.ofRow, target.unit, ours) {
			t.Errorf("nothing measures %q in %s", target.ofRow, target.unit)
		}
	}
}

func TestReached(t *testing.T) {
	r := &result{}
	rate := row{name: "rate", unit: perSecond, higherIsBetter: true}
	memory, idle := row{name: "memory", unit: mebibytes}, row{name: "idle", unit: mebibytes}
	r.add(rate, ours, []float64{1, 3, 2})
	r.add(rate, theirs, []float64{1})
	r.add(memory, ours, []float64{12})
	r.add(idle, ours, []float64{10})
	for _, c := range []struct {
		target target
		value  float64
		there  bool
	}{
		{target{row: "rate", unit: perSecond, of: theirs, atLeast: 2}, 2, true},
		{target{row: "rate", unit: perSecond, of: theirs, atLeast: 2.1}, 2, false},
		{target{row: "rate", unit: perSecond, of: theirs, atMost: 1.9}, 2, false},
		{target{row: "rate", unit: perSecond, of: pasta, atLeast: 1}, 0, false},
		{target{row: "rate", unit: mebibytes, atLeast: 1}, 0, false},
		{target{row: "memory", unit: mebibytes, atMost: 12}, 12, true},
		{target{row: "memory", unit: mebibytes, atMost: 11}, 12, false},
		{target{row: "memory", unit: mebibytes, ofRow: "idle", atMost: 1.2}, 1.2, true},
		{target{row: "memory", unit: mebibytes, ofRow: "none", atMost: 1.2}, 0, false},
	} {
		if value, there := r.reached(c.target); value != c.value || there != c.there {
			t.Errorf("%+v: %v, %v, want %v, %v", c.target, value, there, c.value, c.there)
		}
	}
}
