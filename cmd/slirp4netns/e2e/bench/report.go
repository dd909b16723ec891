package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// write replaces the files of the result.
func (r *result) write(o options) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	for name, content := range map[string]string{
		"benchmarks.json": string(data) + "\n",
		"benchmarks.md":   r.page(),
		"benchmarks.svg":  r.plot(),
	} {
		if err := os.WriteFile(filepath.Join(o.docs, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return r.updateReadme(o.readme)
}

// The lines of README.md between which the table stands.
const (
	tableBegin = "<!-- benchmarks: written by make bench -->\n"
	tableEnd   = "<!-- end of benchmarks -->\n"
)

// readmePlot follows the table.
const readmePlot = "\n![the figures as a plot](docs/benchmarks.svg)\n"

// updateReadme replaces the table and the plot.
func (r *result) updateReadme(file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(content), tableBegin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		return fmt.Errorf("%s: no place for the table (%q)", file, strings.TrimSpace(tableBegin))
	}
	return os.WriteFile(file, []byte(before+tableBegin+r.table(r.headlines())+readmePlot+tableEnd+after), 0o644)
}

// page is docs/benchmarks.md.
func (r *result) page() string {
	var b strings.Builder
	b.WriteString(r.introduction())
	b.WriteString(r.table(r.Rows))
	b.WriteString("\n## What is aimed at, and what is reached\n\nOf the medians above. Why a row is missed, and what was tried, stands in\n[ARCHITECTURE.md](ARCHITECTURE.md), \"Where it is behind\".\n\n")
	b.WriteString(r.targetTable())
	b.WriteString("\n## How it is measured\n\n")
	b.WriteString(r.notes())
	b.WriteString("\n")
	b.WriteString(r.machineTable())
	return b.String()
}

// introduction says when all was measured, and what failed.
func (r *result) introduction() string {
	var b strings.Builder
	b.WriteString("# Benchmarks\n\nWritten by `make bench`; the samples are in [benchmarks.json](benchmarks.json). The\n" +
		"programs were measured in turns, as an ordinary user in the lab of the tests:\n" +
		"nothing leaves the machine. Its processors are shared by the program that is\n" +
		"measured and both ends of what it carries.\n\n")
	b.WriteString(r.runTable())
	b.WriteString("\n![the figures as a plot](benchmarks.svg)\n\n")
	if failed := r.failureList(); failed != "" {
		b.WriteString("These failed, so that there is no figure:\n\n" + failed + "\n")
	}
	return b.String()
}

// runTable tells when the rows were measured, with which commit. The names of
// rows that have several are those of all runs but the one with the most.
func (r *result) runTable() string {
	var b strings.Builder
	b.WriteString("| date | commit | rounds | rows |\n|---|---|---|---|\n")
	runs := r.runs()
	most := 0
	for i := range runs {
		if len(runs[i].rows) > len(runs[most].rows) {
			most = i
		}
	}
	for i, run := range runs {
		rows := "all"
		switch {
		case i == most && len(runs) > 1:
			rows = "all others"
		case i != most:
			var names []string
			for _, e := range run.rows {
				names = append(names, e.Name)
			}
			rows = strings.Join(names, "; ")
		}
		fmt.Fprintf(&b, "| %s | %s | %d × %d s | %s |\n", run.date, run.commit, run.rounds, run.seconds, rows)
	}
	return b.String()
}
