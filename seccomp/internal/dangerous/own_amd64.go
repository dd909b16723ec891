package dangerous

import "golang.org/x/sys/unix"

// Numbers that differ.
const (
	fcntl = unix.SYS_FCNTL
	mmap  = unix.SYS_MMAP
)

// x32 marks calls of the x32 ABI.
const x32 = 0x40000000

// own are amd64's alone.
var own = []Call{
	{"fork", unix.SYS_FORK, args()},
	{"vfork", unix.SYS_VFORK, args()},
	{"open(O_WRONLY)", unix.SYS_OPEN, args(nowhere, unix.O_WRONLY)},
	{"open", unix.SYS_OPEN, args(nowhere)},
	{"creat", unix.SYS_CREAT, args(nowhere)},
	{"unlink", unix.SYS_UNLINK, args(nowhere)},
	{"rename", unix.SYS_RENAME, args(nowhere, nowhere)},
	{"chmod", unix.SYS_CHMOD, args(nowhere)},
	{"dup2", unix.SYS_DUP2, args(99, 99)},
	{"arch_prctl", unix.SYS_ARCH_PRCTL, args(99)},
	{"modify_ldt", unix.SYS_MODIFY_LDT, args(99)},
	{"iopl", unix.SYS_IOPL, args(99)},
	{"ioperm", unix.SYS_IOPERM, args(0, 0, 1)},
	{"kexec_file_load", unix.SYS_KEXEC_FILE_LOAD, args(99)},
	{"read of the x32 ABI", x32 | unix.SYS_READ, args(99)},
	{"execve of the x32 ABI", x32 | 520, args(nowhere)},
}
