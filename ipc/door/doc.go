// Package door lets a Go program enter namespaces before its runtime starts.
//
// The Go runtime makes threads before main, and the kernel refuses
// setns(CLONE_NEWUSER) and unshare(CLONE_NEWUSER) to a process that has more
// than one (setns(2), unshare(2)). The usual way out is a C constructor. The
// door is the same without C: the ELF entry point of the program is a few
// instructions of assembly (entry_<arch>.s) that do what an environment
// variable asks for and then jump to the runtime's own entry point, with the
// stack as the kernel made it.
//
//	kernel ──▶ _slirp4netns_door ──▶ _rt0_<arch>_linux ──▶ package init ──▶ main
//	            │ envp[0] is the marker?
//	            └ then run the acts that it names, record each result
//
// The marker is the variable SLIRP4NETNS_DOOR, and it counts only as the very
// first one. Its value is one letter or "-" for each act, in the order of the
// table in acts.go, a colon, and the name of the stage to run:
//
//	SLIRP4NETNS_DOOR=D-USN-:child
//
// The program is linked with
//
//	CGO_ENABLED=0 go build -ldflags '-E _slirp4netns_door'
//
// and must import this package. [Linked] tells whether that was done.
//
// Callers: parent starts the child with [Spawn], and replaces itself by its
// next stage, inside other namespaces, with [Exec]. The program that is
// started reads [Stage] and [Entered].
//
// Should: make no attempt when the marker is absent; take the marker out of the
// environment before anything can inherit it; report every result, and leave
// it to the stage which of them may fail.
//
// Mustn't: allocate, touch the stack, or depend on the runtime before the
// jump; join a namespace while the process can still be traced from inside it
// (the first act clears PR_SET_DUMPABLE).
package door
