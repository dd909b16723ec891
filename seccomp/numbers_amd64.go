package seccomp

import "golang.org/x/sys/unix"

const (
	arch      = "amd64"
	auditArch = unix.AUDIT_ARCH_X86_64
	bigEndian = false
)

var ownNumbers = map[string]uint32{
	"newfstatat": unix.SYS_NEWFSTATAT,
}
