#!/bin/sh
# need.sh COMMAND=PACKAGE... or /FILE=PACKAGE...
# Makes sure that the commands and files are there: as root on a system with
# apt by installing what is missing, else by naming it and failing.
set -eu
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

missing() { # the packages of all that is not there
	for pair in "$@"; do
		what=${pair%%=*}
		case $what in
		/*) test -e "$what" || echo "${pair#*=}" ;;
		*) command -v "$what" >/dev/null || echo "${pair#*=}" ;;
		esac
	done | sort -u | tr '\n' ' '
}

packages=$(missing "$@")
[ -n "$packages" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "missing: $packages" >&2
	echo "install with: apt-get install --no-install-recommends $packages(as root; names are Debian's)" >&2
	exit 1
fi
echo "installing: $packages"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# One source that cannot be reached does not matter if the packages are in
# another. $packages is a list of words.
# shellcheck disable=SC2086
if ! { apt-get update || true; apt-get install -y --no-install-recommends $packages; } >"$log" 2>&1; then
	cat "$log" >&2
	exit 1
fi
packages=$(missing "$@")
[ -z "$packages" ] || {
	echo "still missing after the installation: $packages" >&2
	exit 1
}
