package seccomp

import "golang.org/x/sys/unix"

const (
	arch      = "s390x"
	auditArch = unix.AUDIT_ARCH_S390X
	bigEndian = true
)

var ownNumbers = map[string]uint32{
	"newfstatat": unix.SYS_NEWFSTATAT,
	"stat":       unix.SYS_STAT,
	"socketcall": unix.SYS_SOCKETCALL,
}
