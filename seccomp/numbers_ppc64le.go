package seccomp

import "golang.org/x/sys/unix"

const (
	arch      = "ppc64le"
	auditArch = unix.AUDIT_ARCH_PPC64LE
	bigEndian = false
)

var ownNumbers = map[string]uint32{
	"epoll_wait": unix.SYS_EPOLL_WAIT,
	"fcntl":      unix.SYS_FCNTL,
	"fstat":      unix.SYS_FSTAT,
	"mmap":       unix.SYS_MMAP,
	"newfstatat": unix.SYS_NEWFSTATAT,
	"poll":       unix.SYS_POLL,
}
