// Package sandbox takes away from the process what it does not need: the
// host's files and, on every thread, capabilities (mount_namespaces(7),
// pivot_root(2), capabilities(7)).
//
// [Enter] leaves a root file system with nothing in it but /etc and /run as
// the host has them, read-only, and whatever /etc/resolv.conf leads to outside
// of both. They follow the host: a resolv.conf that is replaced there is the
// new one here.
//
//	/            tmpfs, read-only
//	├── etc      the host's, with all that is mounted below
//	├── run      the host's, with all that is mounted below
//	└── …        links and directories on the way to resolv.conf
//
// [Limit] leaves a set of capabilities on all threads. [NewRemover] keeps the
// right to unlink one file of the host's, the control socket, and nothing else
// above it. For root, in another user's directory, a thread of that user's does
// it.
//
// Caller: parent, in a process that has a mount namespace of its own from
// ipc/door, and there all capabilities.
//
// Should: name the step, the kernel's reason and the remedy when a step is
// refused.
//
// Mustn't: change anything that can be seen in the host's mount namespace; go
// on after a step that failed; keep a descriptor by which the old root could
// be reached.
package sandbox
