package seccomp

import "golang.org/x/sys/unix"

const (
	arch      = "arm64"
	auditArch = unix.AUDIT_ARCH_AARCH64
	bigEndian = false
)

var ownNumbers = map[string]uint32{
	"newfstatat": unix.SYS_FSTATAT,
}
