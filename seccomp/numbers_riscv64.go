package seccomp

import "golang.org/x/sys/unix"

const (
	arch      = "riscv64"
	auditArch = unix.AUDIT_ARCH_RISCV64
	bigEndian = false
)

var ownNumbers = map[string]uint32{
	"gettimeofday": unix.SYS_GETTIMEOFDAY,
	"newfstatat":   unix.SYS_FSTATAT,
	"tkill":        unix.SYS_TKILL,
}
