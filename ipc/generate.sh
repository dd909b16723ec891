#!/bin/sh
# Writes slirp.pb.go and slirp_ttrpc.pb.go from slirp.proto. With --check,
# writes nothing and fails if they are not what they should be. Needs protoc
# (Debian: protobuf-compiler); the plugins are built at the versions in go.mod.
set -eu
cd "$(dirname "$0")"
command -v protoc >/dev/null || {
	echo "ipc/generate.sh: protoc not found: install protobuf-compiler" >&2
	exit 1
}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT INT TERM
CGO_ENABLED=0 go build -o "$tmp/" \
	google.golang.org/protobuf/cmd/protoc-gen-go \
	github.com/containerd/ttrpc/cmd/protoc-gen-go-ttrpc
mkdir "$tmp/out"
PATH="$tmp:$PATH" protoc --go_out="$tmp/out" --go_opt=paths=source_relative \
	--go-ttrpc_out="$tmp/out" --go-ttrpc_opt=paths=source_relative slirp.proto
# The version of protoc itself makes no difference to the code.
for f in slirp.pb.go slirp_ttrpc.pb.go; do
	sed -i '/^\/\/ [\t-]*protoc  *v/d' "$tmp/out/$f"
done
if [ "${1:-}" = --check ]; then
	for f in slirp.pb.go slirp_ttrpc.pb.go; do
		diff -u "$f" "$tmp/out/$f" || {
			echo "ipc/$f is stale: run ipc/generate.sh" >&2
			exit 1
		}
	done
else
	cp "$tmp/out/slirp.pb.go" "$tmp/out/slirp_ttrpc.pb.go" .
fi
