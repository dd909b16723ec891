package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// resultOf has two rows of one commit.
func resultOf(date, commit string, dns, web float64) *result {
	r := &result{Date: date, Machine: machine{Ours: "slirp4netns version 1, commit: " + commit, Kernel: "6"}, Rounds: 5, Seconds: 1}
	r.add(row{name: "HTTP requests, kept alive, 16 at a time", unit: perSecond}, ours, []float64{web})
	r.add(row{name: "DNS queries, 16 at a time", unit: perSecond}, ours, []float64{dns})
	return r
}

func TestMerge(t *testing.T) {
	before := resultOf("2026-01-01", "a", 1, 2)
	before.add(row{name: "measured no more", unit: perSecond}, ours, []float64{1})
	later := resultOf("2026-02-01", "b", 3, 4)
	later.Rows = later.Rows[1:] // DNS alone
	later.fail(row{name: later.Rows[0].Name, unit: perSecond}, pasta, errors.New("it cannot\nat all"))

	merged := before.merge(later)
	if len(merged.Rows) != 2 {
		t.Fatalf("%d rows, want 2", len(merged.Rows))
	}
	for i, want := range []struct {
		name, commit, date string
		median             float64
	}{ // in the order of the measurements
		{"DNS queries, 16 at a time", "b", "2026-02-01", 3},
		{"HTTP requests, kept alive, 16 at a time", "a", "2026-01-01", 2},
	} {
		if e := merged.Rows[i]; e.Name != want.name || e.Commit != want.commit || e.Date != want.date || e.of(ours).Median != want.median {
			t.Errorf("row %d: %+v, want %+v", i, e, want)
		}
	}
	page := merged.page()
	if strings.Contains(page, "%!") {
		t.Errorf("a format of the page is wrong:\n%s", page)
	}
	for _, want := range []string{"| 2026-01-01 | a | 5 × 1 s | all others |", "| 2026-02-01 | b | 5 × 1 s | DNS queries, 16 at a time |",
		"- DNS queries, 16 at a time, pasta: it cannot\n"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
}

// What was written can be read again, and only merged with the same machine's.
func TestReadResult(t *testing.T) {
	o := options{docs: t.TempDir()}
	r := resultOf("2026-01-01", "a", 1, 2)
	write := func() {
		data, err := json.Marshal(r)
		if err == nil {
			err = os.WriteFile(filepath.Join(o.docs, "benchmarks.json"), data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write()
	got, err := readResult(o)
	if err != nil || len(got.Rows) != 2 || got.Rows[0].Commit != "a" {
		t.Fatalf("read %+v, %v", got, err)
	}
	other := resultOf("2026-01-02", "b", 1, 2)
	if err := got.sameSetting(other); err != nil {
		t.Errorf("another commit: %v", err)
	}
	other.Machine.Kernel = "7"
	if err := got.sameSetting(other); err == nil {
		t.Error("another kernel is no reason to refuse")
	}
	r.Rows[0].Commit = ""
	write()
	if _, err := readResult(o); err == nil {
		t.Error("a row without its commit is taken")
	}
}
