#!/bin/sh
# The cheap checks of our own rules, before those of the tools.
set -u
status=0
complain() {
	echo "lint: $1" >&2
	echo "$2" >&2
	status=1
}

files=$(git ls-files '*.go')
if [ -z "$files" ]; then
	echo "lint: git names no file to look at: run this in a clone that git trusts" >&2
	exit 1
fi
unformatted=$(gofmt -l $files)
[ -z "$unformatted" ] || complain "run gofmt -w on:" "$unformatted"

skipped=$(git grep -nE '\bt\.Skip(f|Now)?\(' -- '*_test.go')
[ -z "$skipped" ] || complain "a test may not be skipped:" "$skipped"

unkept=$(git grep -oE '^func Fuzz[A-Za-z0-9_]+' -- '*_test.go' | while IFS=: read -r file target; do
		target=${target#func }
		[ -n "$(git ls-files "$(dirname "$file")/testdata/fuzz/$target")" ] && grep -q "\b$target\b" docs/ARCHITECTURE.md || echo "$file: $target"
	done)
[ -z "$unkept" ] || complain "fuzz targets without inputs in testdata/fuzz, or that docs/ARCHITECTURE.md does not name:" "$unkept"

undocumented=$(go list -f '{{if and .GoFiles (not .Doc)}}{{.ImportPath}}{{end}}' ./...)
[ -z "$undocumented" ] || complain "packages without a doc comment:" "$undocumented"
if ! untidy=$(go mod tidy -diff 2>/dev/null); then # stderr tells of downloads
	complain "run go mod tidy:" "${untidy:-$(go mod tidy -diff 2>&1)}"
fi
exit $status
