// Package parent is slirp4netns after its command line: the process that stays,
// in the namespaces of whoever called it, and carries the guest's traffic.
//
// [Run] takes a validated [Config] through the stages (stages.go): the process
// opens what only it can open, has a child make the TAP where the guest is
// (spawn.go, ipc, child), gives the TAP to the data plane (parent/dataplane),
// tells its caller that it is ready, and waits for the first of: the exit-fd
// closed, a signal, the guest's network namespace gone (handshake.go,
// signals.go).
//
// Caller: cmd/slirp4netns.
//
// Should: say on stderr what went wrong in words that callers of the C program
// know; leave nothing behind: no child, no descriptor, no file.
//
// Mustn't: enter the guest's namespaces itself; believe the child; keep open
// what its caller let it inherit, other than what the command line names.
package parent
