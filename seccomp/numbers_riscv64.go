package seccomp

import "golang.org/x/sys/unix"

const (
	arch      = "riscv64"
	auditArch = unix.AUDIT_ARCH_RISCV64
	bigEndian = false
)

var ownNumbers = map[string]uint32{
	"fcntl":        unix.SYS_FCNTL,
	"fstat":        unix.SYS_FSTAT,
	"fstatat":      unix.SYS_FSTATAT,
	"gettimeofday": unix.SYS_GETTIMEOFDAY,
	"mmap":         unix.SYS_MMAP,
}
