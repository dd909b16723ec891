// Package dangerous lists system calls by which a process that was taken over
// would get further: each with arguments that the filter of package seccomp
// has to refuse.
//
// Callers: the tests of package seccomp, which interpret the filter, and their
// victim, which makes the calls.
//
// Should: choose arguments that do no harm where there is no filter: what is a
// pointer leads nowhere, so that the kernel says EFAULT.
package dangerous

// Call is one system call.
type Call struct {
	Name string // of the call, with what matters of its arguments
	Nr   uintptr
	Args [6]uintptr
}
