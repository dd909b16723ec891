package seccomp

import "golang.org/x/sys/unix"

const (
	arch      = "ppc64le"
	auditArch = unix.AUDIT_ARCH_PPC64LE
	bigEndian = false
)

var ownNumbers = map[string]uint32{
	"newfstatat": unix.SYS_NEWFSTATAT,
	"stat":       unix.SYS_STAT,
}
