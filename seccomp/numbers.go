//go:build amd64 || arm64 || riscv64 || ppc64le || s390x || arm

package seccomp

import (
	"maps"

	"golang.org/x/sys/unix"
)

// Supported tells whether there are rules for the architecture that this was
// built for.
const Supported = true

// numbers are those of the system calls that rules name.
var numbers = func() map[string]uint32 {
	all := maps.Clone(commonNumbers)
	for _, more := range []map[string]uint32{wideNumbers, oldNumbers, ownNumbers} {
		maps.Copy(all, more)
	}
	return all
}()

// commonNumbers are of calls that all of our architectures have, each with a
// number of its own.
var commonNumbers = map[string]uint32{
	"accept4":           unix.SYS_ACCEPT4,
	"bind":              unix.SYS_BIND,
	"clock_gettime":     unix.SYS_CLOCK_GETTIME,
	"clone":             unix.SYS_CLONE,
	"close":             unix.SYS_CLOSE,
	"connect":           unix.SYS_CONNECT,
	"dup3":              unix.SYS_DUP3,
	"epoll_create1":     unix.SYS_EPOLL_CREATE1,
	"epoll_ctl":         unix.SYS_EPOLL_CTL,
	"epoll_pwait":       unix.SYS_EPOLL_PWAIT,
	"eventfd2":          unix.SYS_EVENTFD2,
	"exit":              unix.SYS_EXIT,
	"exit_group":        unix.SYS_EXIT_GROUP,
	"fcntl":             unix.SYS_FCNTL,
	"futex":             unix.SYS_FUTEX,
	"getpeername":       unix.SYS_GETPEERNAME,
	"getpid":            unix.SYS_GETPID,
	"getrandom":         unix.SYS_GETRANDOM,
	"getsockname":       unix.SYS_GETSOCKNAME,
	"getsockopt":        unix.SYS_GETSOCKOPT,
	"gettid":            unix.SYS_GETTID,
	"ioctl":             unix.SYS_IOCTL,
	"kill":              unix.SYS_KILL,
	"listen":            unix.SYS_LISTEN,
	"madvise":           unix.SYS_MADVISE,
	"munmap":            unix.SYS_MUNMAP,
	"nanosleep":         unix.SYS_NANOSLEEP,
	"openat":            unix.SYS_OPENAT,
	"pipe2":             unix.SYS_PIPE2,
	"ppoll":             unix.SYS_PPOLL,
	"prctl":             unix.SYS_PRCTL,
	"prlimit64":         unix.SYS_PRLIMIT64,
	"read":              unix.SYS_READ,
	"readv":             unix.SYS_READV,
	"recvfrom":          unix.SYS_RECVFROM,
	"recvmmsg":          unix.SYS_RECVMMSG,
	"recvmsg":           unix.SYS_RECVMSG,
	"restart_syscall":   unix.SYS_RESTART_SYSCALL,
	"rt_sigaction":      unix.SYS_RT_SIGACTION,
	"rt_sigprocmask":    unix.SYS_RT_SIGPROCMASK,
	"rt_sigreturn":      unix.SYS_RT_SIGRETURN,
	"sched_getaffinity": unix.SYS_SCHED_GETAFFINITY,
	"sched_yield":       unix.SYS_SCHED_YIELD,
	"sendmmsg":          unix.SYS_SENDMMSG,
	"sendmsg":           unix.SYS_SENDMSG,
	"sendto":            unix.SYS_SENDTO,
	"setsockopt":        unix.SYS_SETSOCKOPT,
	"shutdown":          unix.SYS_SHUTDOWN,
	"sigaltstack":       unix.SYS_SIGALTSTACK,
	"socket":            unix.SYS_SOCKET,
	"socketpair":        unix.SYS_SOCKETPAIR,
	"tgkill":            unix.SYS_TGKILL,
	"uname":             unix.SYS_UNAME,
	"unlinkat":          unix.SYS_UNLINKAT,
	"write":             unix.SYS_WRITE,
	"writev":            unix.SYS_WRITEV,
}
