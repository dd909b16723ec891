#!/bin/sh
# The cheap checks of our own rules, before those of the tools.
set -u
status=0
complain() {
	echo "lint: $1" >&2
	echo "$2" >&2
	status=1
}

unformatted=$(gofmt -l $(git ls-files '*.go'))
[ -z "$unformatted" ] || complain "run gofmt -w on:" "$unformatted"

skipped=$(git grep -nE '\bt\.Skip(f|Now)?\(' -- '*_test.go')
[ -z "$skipped" ] || complain "a test may not be skipped:" "$skipped"

undocumented=$(go list -f '{{if and .GoFiles (not .Doc)}}{{.ImportPath}}{{end}}' ./...)
[ -z "$undocumented" ] || complain "packages without a doc comment:" "$undocumented"
exit $status
