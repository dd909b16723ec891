package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// Every aim has a limit in the guard, or is in the list of those that have none.
func TestGuardIsComplete(t *testing.T) {
	for _, aim := range targets {
		if aim.of != nil && aim.of != theirs {
			continue // a short run has no other peer
		}
		i := slices.IndexFunc(guardLimits, func(l guardLimit) bool { return l.row == aim.row && l.unit == aim.unit })
		if (i >= 0) == (unguarded[aim.row] != "") {
			t.Errorf("%s, %s: wants either a limit or a reason to have none", aim.row, aim.unit)
		}
		if i < 0 {
			continue
		}
		if l := guardLimits[i]; l.of != aim.of || l.why == "" || l.atLeast > aim.atLeast || l.atMost < aim.atMost || (l.atMost == 0) != (aim.atMost == 0) {
			t.Errorf("%s, %s: limit %s (%s) is of something else than %s, or nearer", l.row, l.unit, l.is(), l.why, aim.is())
		}
	}
	for _, l := range guardLimits {
		if !slices.ContainsFunc(measurements(), func(m measurement) bool {
			return m.gives(l.row, l.unit) && slices.Contains(m.subjects, ours) && slices.Contains(m.subjects, theirs)
		}) {
			t.Errorf("nothing measures %q in %s of both", l.row, l.unit)
		}
	}
}

// good is a result that passes.
func good() *result {
	r := &result{}
	for _, l := range guardLimits {
		value := l.atMost + l.atLeast
		r.add(row{name: l.row, unit: l.unit}, ours, []float64{value})
		if l.of != nil {
			r.add(row{name: l.row, unit: l.unit}, l.of, []float64{1})
		}
	}
	return r
}

func TestGuardFails(t *testing.T) {
	if err := good().checkGuard(); err != nil {
		t.Fatalf("nothing is wrong: %v", err)
	}
	dns := row{name: "DNS queries, 16 at a time", unit: perSecond}
	for name, spoil := range map[string]func(*result){
		"a row below its limit":         func(r *result) { r.find(dns.name, dns.unit).Subjects[ours.name] = summarize([]float64{0.01}) },
		"a row that is not there":       func(r *result) { r.Rows = slices.DeleteFunc(r.Rows, func(e *entry) bool { return e.Name == dns.name }) },
		"the C program was not there":   func(r *result) { delete(r.find(dns.name, dns.unit).Subjects, theirs.name) },
		"our program was not there":     func(r *result) { delete(r.find(dns.name, dns.unit).Subjects, ours.name) },
		"a query that was not answered": func(r *result) { r.fail(dns, ours, errors.New("no answer")) },
	} {
		r := good()
		spoil(r)
		if err := r.checkGuard(); err == nil || !strings.Contains(err.Error(), dns.name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
