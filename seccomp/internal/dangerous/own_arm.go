package dangerous

import "golang.org/x/sys/unix"

// Numbers that differ.
const (
	fcntl = unix.SYS_FCNTL64
	mmap  = unix.SYS_MMAP2
)

// own are arm's alone.
var own = []Call{
	{"fork", unix.SYS_FORK, args()},
	{"vfork", unix.SYS_VFORK, args()},
	{"open(O_WRONLY)", unix.SYS_OPEN, args(nowhere, unix.O_WRONLY)},
	{"fcntl(F_NOTIFY) of 32 bits", unix.SYS_FCNTL, args(99, unix.F_NOTIFY)},
	{"read of the OABI", 0x900000 | unix.SYS_READ, args(99)},
}
