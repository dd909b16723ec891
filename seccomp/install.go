package seccomp

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Install puts rules in force on all threads of the process. It cannot be
// undone.
//
// Preconditions: no_new_privs is set.
func Install(rules []Rule, deny Action) error {
	if deny == Kill && !available(Kill) {
		deny = trap
	}
	if deny == Log && !available(Log) {
		return errors.New("seccomp: this kernel cannot log calls (before Linux 4.14)")
	}
	program, err := Assemble(rules, deny)
	if err != nil {
		return err
	}
	return load(program)
}

// available asks the kernel whether it has the action.
func available(a Action) bool {
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&a)))
	return errno == 0
}

// load hands the program over.
func load(program []bpf.RawInstruction) error {
	filter := make([]unix.SockFilter, len(program))
	for i, ins := range program {
		filter[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	tid, _, errno := unix.Syscall(unix.SYS_SECCOMP,
		unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	switch {
	case errno == unix.EINVAL || errno == unix.ENOSYS:
		return fmt.Errorf("seccomp: the kernel has no filters (CONFIG_SECCOMP_FILTER): %w", errno)
	case errno != 0:
		return fmt.Errorf("seccomp: %w", errno)
	case tid != 0:
		return fmt.Errorf("seccomp: thread %d has a filter of its own", tid)
	}
	return nil
}
