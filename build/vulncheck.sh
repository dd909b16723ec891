#!/bin/sh
# Looks for known vulnerabilities in what we call. A finding fails; a database
# that cannot be reached (no network, a proxy) is only reported, as it says
# nothing about us.
set -u
out=$(go tool -modfile=tools.mod govulncheck "$@" ./... 2>&1)
status=$?
printf '%s\n' "$out"
[ $status -ne 0 ] || exit 0
[ $status -ne 3 ] || exit 3 # govulncheck's status for findings
case $out in
*"fetching vulnerabilities"* | *"vuln.go.dev"*)
	echo "vulncheck: NOT CHECKED: the vulnerability database cannot be reached" >&2
	exit 0
	;;
esac
exit $status
