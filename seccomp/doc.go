// Package seccomp is the list of system calls that slirp4netns makes once it
// is up, and the filter that ends it when it makes another (seccomp(2)).
//
// [Rules] is the list: pure, for all architectures, each call with the
// arguments that are allowed and the reason; docs/seccomp.md is made from it.
// [Assemble] turns it into a program for the kernel's BPF machine with
// golang.org/x/net/bpf, and [Install] puts that in force on all threads.
//
//	architecture ours? ──no──▶ kill
//	call number: x32? ──yes──▶ kill
//	for each rule: call? ──yes──▶ one of its conditions holds? allow : deny
//	deny
//
// Caller: parent, when everything is set up, just before the caller is told.
//
// Should: list what the data plane and the Go runtime need, and no more; look
// at arguments where a call can do more than we need it for.
//
// Mustn't: depend on anything else of this program.
//
// Why not a library for the whole: gVisor's pkg/seccomp knows two of our six
// architectures and go-seccomp-bpf v1.6.0 three; neither compares under a mask,
// which flags need. Both assemble with what we assemble with.
package seccomp
