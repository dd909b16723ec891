#!/bin/sh
# Runs each fuzz target for a while, one after the other: fuzz.sh TIME [REGEXP].
# TIME is that of go test -fuzztime: 5m, or 1000x. REGEXP chooses among
# PACKAGE.TARGET. What was found new stays in Go's build cache; an input that
# fails is written to testdata/fuzz of its package.
set -u
time=${1:?usage: fuzz.sh TIME [REGEXP]}
only=${2:-.}
go=${GO:-go}
status=0
for dir in $($go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' ./...); do
	targets=$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$dir"/*_test.go)
	for target in $targets; do
		name=${dir#"$PWD"/}.$target
		echo "$name" | grep -qE "$only" || continue
		echo "fuzz: $name for $time"
		out=$(cd "$dir" && $go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 100x -parallel "${FUZZPARALLEL:-1}" 2>&1) || {
			echo "$out" >&2
			status=1
		}
		echo "$out" | sed -n 's/^fuzz: \(elapsed.*\)/      \1/p' | tail -1
	done
done
exit $status
