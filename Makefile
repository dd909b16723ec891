# `make help` lists the targets.

GO        ?= go
PREFIX    ?= /usr/local
DESTDIR   ?=
BINDIR    ?= $(PREFIX)/bin
LIBEXECDIR ?= $(PREFIX)/libexec/slirp4netns
MANDIR    ?= $(PREFIX)/share/man
ROUNDS    ?= 5
ONLY      ?=
FUZZTIME  ?= 5m
FUZZ      ?= .
SOAK      ?= 10m

ARCHES := amd64 arm64 arm riscv64 ppc64le s390x

MODULE  := github.com/slirp4netns-go/slirp4netns
COMMIT  := $(shell git rev-parse HEAD 2>/dev/null && { git diff --quiet HEAD 2>/dev/null || echo -dirty; })
COMMIT  := $(if $(COMMIT),$(subst $() ,,$(COMMIT)),unknown)
# The ELF entry point of ipc/door; a program linked without it says so.
DOOR    := _slirp4netns_door
LDFLAGS := -s -w -E $(DOOR) -X main.commit=$(COMMIT)
BUILD    = CGO_ENABLED=0 $(GO) build -trimpath
PROGRAMS := slirp4netns slirp-child
TOOL    := $(GO) tool -modfile=tools.mod

# command=package, for build/need.sh.
NEED_LAB   := curl=curl ping=iputils-ping ip=iproute2 nsenter=util-linux unshare=util-linux
NEED_TEST  := $(NEED_LAB) slirp4netns=slirp4netns strace=strace git=git gcc=gcc musl-gcc=musl-tools ndisc6=ndisc6 rdisc6=ndisc6 \
	traceroute=traceroute mtr=mtr-tiny socat=socat dig=dnsutils dhclient=isc-dhcp-client dhcpcd=dhcpcd-base /lib/systemd/systemd-networkd=systemd dbus-daemon=dbus nc=netcat-openbsd tcpdump=tcpdump \
	busybox=busybox-static iperf3=iperf3 linux.uml=user-mode-linux ss=iproute2 nft=nftables rootlesskit=rootlesskit newuidmap=uidmap podman=podman /usr/lib/podman/netavark=netavark /usr/lib/podman/aardvark-dns=aardvark-dns iptables=iptables buildah=buildah crun=crun catatonit=catatonit \
	/usr/include/stdio.h=libc6-dev protoc=protobuf-compiler qemu-s390x-static=qemu-user-static
# Callers, and what they and the manual's examples use.
NEED_TEST  += iptables=iptables vde_plug=vdeplug bwrap=bubblewrap
# What docs/security.md compares with.
NEED_TEST  += pasta=passt
# What Podman is built from.
NEED_PODMAN := gcc=gcc pkg-config=pkg-config /usr/include/seccomp.h=libseccomp-dev /usr/include/sqlite3.h=libsqlite3-dev
NEED_BENCH := $(NEED_LAB) slirp4netns=slirp4netns iperf3=iperf3 linux.uml=user-mode-linux busybox=busybox-static pasta=passt wrk=wrk nginx=nginx-light newuidmap=uidmap

.NOTPARALLEL:
.PHONY: all build help demo test clients client-rootlesskit client-podman soak bench fuzz lint unit-race cross generate check-generated vulncheck install man clean need-go

all: build

## build: static bin/slirp4netns and bin/slirp-child (also: plain make)
build: need-go
	@$(foreach p,$(PROGRAMS),$(BUILD) -ldflags '$(LDFLAGS)' -o bin/$(p) ./cmd/$(p) &&) true

## help: this list
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## demo: connect a fresh namespace as an ordinary user, and show each step
demo: need-go
	@build/need.sh $(NEED_LAB)
	@$(MAKE) --no-print-directory build
	@CGO_ENABLED=0 $(GO) build -o bin/lab/demo ./cmd/slirp4netns/e2e/demo
	@bin/lab/demo

## test: everything: lint, generated code, cross builds, race detector, all tests bare and locked, a short benchmark
test: need-go
	build/need.sh $(NEED_TEST) $(NEED_BENCH)
	$(MAKE) --no-print-directory build
	$(MAKE) --no-print-directory lint
	$(MAKE) --no-print-directory check-generated
	$(MAKE) --no-print-directory cross
	$(MAKE) --no-print-directory unit-race
	$(MAKE) --no-print-directory fuzz FUZZTIME=2000x
	$(MAKE) --no-print-directory clients
	CGO_ENABLED=0 $(GO) test -count=1 -p 1 -timeout 15m ./...
	CGO_ENABLED=0 SLIRP4NETNS_LOCKED=1 $(GO) test -count=1 -timeout 15m ./cmd/slirp4netns/e2e
	CGO_ENABLED=0 $(GO) build -o bin/lab/bench ./cmd/slirp4netns/e2e/bench
	bin/lab/bench -guard -rounds 1 -seconds 1 -long 3s

# The tests below cmd/ run built programs: there is nothing of theirs in the
# process of the test for the race detector to see.
unit-race:
	CGO_ENABLED=1 $(GO) test -race -count=1 -timeout 15m $$($(GO) list ./... | grep -v '^$(MODULE)/cmd/')

## clients: callers of slirp4netns that are newer than Debian's, into bin/lab
clients: client-rootlesskit client-podman

client-rootlesskit: need-go
	CGO_ENABLED=0 $(GO) build -modfile=tools.mod -trimpath -o bin/lab/rootlesskit/ \
		github.com/rootless-containers/rootlesskit/v3/cmd/rootlesskit github.com/rootless-containers/rootlesskit/v3/cmd/rootlessctl

# Without C it has no database, knows no rootless containers and no seccomp.
# Without optimising, there is a fifth less to do.
PODMAN_TAGS := seccomp libsqlite3 containers_image_openpgp exclude_graphdriver_btrfs exclude_graphdriver_devicemapper btrfs_noversion
client-podman: need-go
	build/need.sh $(NEED_PODMAN)
	CGO_ENABLED=1 $(GO) build -modfile=cmd/slirp4netns/e2e/lab/podman.mod -trimpath -gcflags 'all=-N -l' -ldflags '-s -w' -tags '$(PODMAN_TAGS)' \
		-o bin/lab/podman github.com/containers/podman/v5/cmd/podman

## soak: what has to hold for long, for longer than in test: both locks under load; peers that come and go (SOAK=10m each)
soak: need-go
	build/need.sh $(NEED_TEST)
	$(MAKE) --no-print-directory build
	CGO_ENABLED=0 SLIRP4NETNS_SOAK=$(SOAK) $(GO) test -count=1 -timeout 3h -v ./cmd/slirp4netns/e2e -run 'TestSoak|JoinAndLeave'

## bench: ours against C slirp4netns, pasta and RootlessKit's drivers in one run, into docs/benchmarks.* (ROUNDS=n; ONLY=REGEXP: those rows anew)
bench: need-go
	build/need.sh $(NEED_BENCH)
	$(MAKE) --no-print-directory build
	$(MAKE) --no-print-directory client-rootlesskit
	CGO_ENABLED=0 $(GO) build -o bin/lab/bench ./cmd/slirp4netns/e2e/bench
	$(BUILD) -ldflags '$(LDFLAGS) -X $(MODULE)/parent.childPath=/run/lab/bin/slirp-child' \
		-o bin/lab/slirp4netns-installed ./cmd/slirp4netns
	bin/lab/bench -rounds $(ROUNDS) -limit 34m -out docs -only '$(ONLY)'

## fuzz: each fuzz target for FUZZTIME (5m, or 1000x), or those that match FUZZ
fuzz: need-go
	build/fuzz.sh $(FUZZTIME) '$(FUZZ)'

## lint: gofmt, our own rules, go vet, staticcheck
lint:
	build/lint.sh
	CGO_ENABLED=0 $(GO) vet ./...
	$(TOOL) staticcheck ./...

## cross: both programs for the six architectures, into bin/ARCH
cross:
	@for arch in $(ARCHES); do for p in $(PROGRAMS); do \
		echo "cross: $$p for $$arch"; \
		GOOS=linux GOARCH=$$arch $(BUILD) -ldflags '$(LDFLAGS)' -o bin/$$arch/$$p ./cmd/$$p || exit 1; \
	done; \
		GOOS=linux GOARCH=$$arch CGO_ENABLED=0 $(GO) vet ./ipc/... ./child || exit 1; \
	done

## generate: the Go code of ipc/slirp.proto, docs/seccomp.md, THIRD_PARTY_NOTICES
generate:
	build/need.sh protoc=protobuf-compiler
	ipc/generate.sh
	build/notices.sh
	$(GO) run ./seccomp/internal/gendoc >docs/seccomp.md

## check-generated: fail if those are stale
check-generated:
	build/need.sh protoc=protobuf-compiler
	ipc/generate.sh --check
	build/notices.sh --check
	$(GO) run ./seccomp/internal/gendoc | cmp - docs/seccomp.md || { echo "docs/seccomp.md is stale: run make generate" >&2; exit 1; }

## vulncheck: known vulnerabilities in what we call
vulncheck:
	build/vulncheck.sh

## man: bin/slirp4netns.1
man: need-go
	@mkdir -p bin
	$(TOOL) go-md2man -in docs/slirp4netns.1.md -out bin/slirp4netns.1

## install: programs and manual page (PREFIX, DESTDIR, BINDIR, LIBEXECDIR, MANDIR)
install: man
	$(BUILD) -ldflags '$(LDFLAGS) -X $(MODULE)/parent.childPath=$(LIBEXECDIR)/slirp-child' -o bin/install/slirp4netns ./cmd/slirp4netns
	$(BUILD) -ldflags '$(LDFLAGS)' -o bin/install/slirp-child ./cmd/slirp-child
	install -D -m 755 bin/install/slirp4netns $(DESTDIR)$(BINDIR)/slirp4netns
	install -D -m 755 bin/install/slirp-child $(DESTDIR)$(LIBEXECDIR)/slirp-child
	install -D -m 644 bin/slirp4netns.1 $(DESTDIR)$(MANDIR)/man1/slirp4netns.1
	install -D -m 644 THIRD_PARTY_NOTICES $(DESTDIR)$(PREFIX)/share/doc/slirp4netns/THIRD_PARTY_NOTICES

## clean: remove what was built
clean:
	rm -rf bin

need-go:
	@command -v $(GO) >/dev/null || { echo "missing: Go $$(sed -n 's/^go //p' go.mod) or newer, see https://go.dev/dl" >&2; exit 1; }
