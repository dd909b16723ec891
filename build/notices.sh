#!/bin/sh
# Writes the licences of what is linked into our programs to
# THIRD_PARTY_NOTICES; with --check, fails if the file is stale.
set -eu
out=$(mktemp)
trap 'rm -f "$out"' EXIT
programs="./cmd/slirp4netns ./cmd/slirp-child"

# notice NAME DIR
notice() {
	texts=$(cd "$2" && ls LICENSE* LICENCE* license* COPYING* NOTICE* PATENTS* 2>/dev/null | sort)
	if [ -z "$texts" ]; then
		echo "notices: $1 has no licence file" >&2
		exit 1
	fi
	echo
	echo "================ $1"
	for text in $texts; do
		echo
		tr -d '\r' <"$2/$text"
	done
}

{
	echo "slirp4netns is licensed under the Apache License, Version 2.0: see LICENSE."
	echo "Its programs contain what follows, each part under its own licence."
	notice "Go standard library" "$(go env GOROOT)"
	go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' $programs |
		sort -u | while read -r path version dir; do
		notice "$path $version" "$dir" || exit 1
	done
} >"$out"

if [ "${1:-}" != --check ]; then
	cp "$out" THIRD_PARTY_NOTICES
elif ! cmp -s "$out" THIRD_PARTY_NOTICES; then
	echo "notices: THIRD_PARTY_NOTICES is stale: run make generate" >&2
	exit 1
fi
