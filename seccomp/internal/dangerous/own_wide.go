//go:build arm64 || riscv64 || ppc64le || s390x

package dangerous

import "golang.org/x/sys/unix"

// Numbers that differ.
const (
	fcntl = unix.SYS_FCNTL
	mmap  = unix.SYS_MMAP
)

var own []Call
