package main

import (
	"slices"
	"testing"
)

// A target of a row that no measurement gives would never be missed.
func TestTargetsAreMeasured(t *testing.T) {
	measured := func(name, unit string, who *subject) bool {
		return slices.ContainsFunc(measurements(), func(m measurement) bool {
			return slices.Contains(m.subjects, who) && m.gives(name, unit)
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

func TestJudge(t *testing.T) {
	r := &result{}
	rate := row{name: "rate", unit: perSecond, higherIsBetter: true}
	memory, idle := row{name: "memory", unit: mebibytes}, row{name: "idle", unit: mebibytes}
	wakeUps := row{name: "idle", unit: perIdleSecond}
	r.add(rate, ours, []float64{1, 3, 2})
	r.add(rate, theirs, []float64{1})
	r.add(memory, ours, []float64{12})
	r.add(idle, ours, []float64{10})
	r.add(wakeUps, ours, []float64{0})
	for _, c := range []struct {
		target  target
		value   float64
		verdict string
	}{
		{target{row: "rate", unit: perSecond, of: theirs, atLeast: 2}, 2, reached},
		{target{row: "rate", unit: perSecond, of: theirs, atLeast: 2.1}, 2, missed},
		{target{row: "rate", unit: perSecond, of: theirs, atMost: 1.9}, 2, missed},
		{target{row: "rate", unit: perSecond, of: pasta, atLeast: 1}, 0, notMeasured},
		{target{row: "rate", unit: mebibytes, atLeast: 1}, 0, notMeasured},
		{target{row: "memory", unit: mebibytes, atMost: 12}, 12, reached},
		{target{row: "memory", unit: mebibytes, atMost: 11}, 12, missed},
		{target{row: "memory", unit: mebibytes, ofRow: "idle", atMost: 1.2}, 1.2, reached},
		{target{row: "memory", unit: mebibytes, ofRow: "none", atMost: 1.2}, 0, notMeasured},
		{target{row: "idle", unit: perIdleSecond, atMost: 1}, 0, reached},
	} {
		if value, verdict := r.judge(c.target); value != c.value || verdict != c.verdict {
			t.Errorf("%+v: %v, %v, want %v, %v", c.target, value, verdict, c.value, c.verdict)
		}
	}
}
