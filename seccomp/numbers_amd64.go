package seccomp

import "golang.org/x/sys/unix"

const (
	arch      = "amd64"
	auditArch = unix.AUDIT_ARCH_X86_64
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
