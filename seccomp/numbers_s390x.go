package seccomp

import "golang.org/x/sys/unix"

const (
	arch      = "s390x"
	auditArch = unix.AUDIT_ARCH_S390X
	bigEndian = true
)

var ownNumbers = map[string]uint32{
	"epoll_wait": unix.SYS_EPOLL_WAIT,
	"fcntl":      unix.SYS_FCNTL,
	"fstat":      unix.SYS_FSTAT,
	"mmap":       unix.SYS_MMAP,
	"newfstatat": unix.SYS_NEWFSTATAT,
	"poll":       unix.SYS_POLL,
	"socketcall": unix.SYS_SOCKETCALL,
}
