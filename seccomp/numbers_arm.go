package seccomp

import "golang.org/x/sys/unix"

const (
	arch      = "arm"
	auditArch = unix.AUDIT_ARCH_ARM
	bigEndian = false
)

var ownNumbers = map[string]uint32{
	"clock_gettime64": 403,
	"fcntl64":         unix.SYS_FCNTL64,
	"fstat64":         unix.SYS_FSTAT64,
	"fstatat64":       unix.SYS_FSTATAT64,
	"futex_time64":    422,
	"mmap2":           unix.SYS_MMAP2,
}

var wideNumbers map[string]uint32
