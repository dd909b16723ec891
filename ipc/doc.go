// Package ipc is what parent and child say to each other.
//
// Two socketpairs are inherited by the child. Over the first, a stream, goes
// one ttrpc call (https://github.com/containerd/ttrpc, PROTOCOL.md), with the
// messages of slirp.proto; the parent is the client. ttrpc reads ahead and
// knows nothing of file descriptors, so the TAP's comes over the second, a
// SOCK_SEQPACKET pair, by SCM_RIGHTS (unix(7)).
//
//	parent                                    child
//	  │ ── MakeTap(TapRequest) ───────────────▶ │
//	  │                                         │ open, configure
//	  │ ◀─────────── "tap" + SCM_RIGHTS[1] ──── │   second socket
//	  │ ◀──────────────────────── TapReply ──── │
//	  │ ── end of file ───────────────────────▶ │ exits
//
// A failure comes back as the call's error, in words for the user.
//
// Both sides are exact, and fail closed: the version is equal, no field is
// unknown, lengths are what they must be, there is one descriptor, no more and
// no fewer. To the parent the child's answer is hostile input: the child lives
// where the guest's root does.
//
// Should: stay one verb that says what is wanted.
//
// Mustn't: grow a verb that says how ("run this ioctl"); know namespaces or the
// network stack.
package ipc

//go:generate ./generate.sh

// ChildStage is the name of the child to ipc/door.
const ChildStage = "child"

// Version of the protocol. Parent and child are installed together, but an
// upgrade may come between the start of the one and of the other.
const Version = 2
