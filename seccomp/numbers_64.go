//go:build amd64 || arm64 || riscv64 || ppc64le || s390x

package seccomp

import "golang.org/x/sys/unix"

// wideNumbers are of calls that have other names where a word has 32 bits.
var wideNumbers = map[string]uint32{
	"fstat": unix.SYS_FSTAT,
	"mmap":  unix.SYS_MMAP,
}
