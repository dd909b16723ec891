package door

import "golang.org/x/sys/unix"

// File descriptors at which the door finds the namespaces to join. They are
// fixed so that the assembly needs no number parser. They are above what a
// shell hands out for redirections, and far below any sensible RLIMIT_NOFILE.
// [Avoid] keeps the program's own descriptors away from them.
const (
	userNSFD = 20
	netNSFD  = 21
)

// act is one system call of the door with its result. The assembly knows this
// layout through go_asm.h; letter is a whole word so that it can be compared
// without minding the byte order.
type act struct {
	letter uintptr // in the marker; '-' in its place skips the act
	nr     uintptr // system call number
	a0, a1 uintptr // arguments; all further ones are 0
	result uintptr // what the kernel returned: 0 or a negative errno
}

// notRun is the result of an act that nobody asked for.
const notRun = 1

// Act is one thing that the door can do.
type Act int

// The acts, in the order in which they are done. A process that joins the
// guest's user namespace can be traced by the guest's root, wherever they share
// PIDs, unless it is not dumpable: so that comes first. Joining sets the flag to
// fs.suid_dumpable (proc_sys_fs(5)), which may be 1: so it comes once more.
const (
	Undumpable      Act = iota // prctl(PR_SET_DUMPABLE, 0)
	OwnUserNS                  // unshare(CLONE_NEWUSER)
	JoinUserNS                 // setns(CLONE_NEWUSER)
	StillUndumpable            // prctl(PR_SET_DUMPABLE, 0)
	JoinNetNS                  // setns(CLONE_NEWNET)
	OwnMountNS                 // unshare(CLONE_NEWNS)

	actCount = 6
)

// acts is the table that the assembly walks. Everything that differs between
// architectures, but for the instructions, is here.
var acts = [actCount]act{
	Undumpable:      {'D', unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 0, notRun},
	OwnUserNS:       {'O', unix.SYS_UNSHARE, unix.CLONE_NEWUSER, 0, notRun},
	JoinUserNS:      {'U', unix.SYS_SETNS, userNSFD, unix.CLONE_NEWUSER, notRun},
	StillUndumpable: {'S', unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 0, notRun},
	JoinNetNS:       {'N', unix.SYS_SETNS, netNSFD, unix.CLONE_NEWNET, notRun},
	OwnMountNS:      {'M', unix.SYS_UNSHARE, unix.CLONE_NEWNS, 0, notRun},
}

// marker is compared, byte by byte, with the start of envp[0].
var marker = [markerLen]byte{
	'S', 'L', 'I', 'R', 'P', '4', 'N', 'E', 'T', 'N', 'S', '_', 'D', 'O', 'O', 'R', '=',
}

const markerLen = 17

// linked is set to 1 by the door each time that it runs.
var linked uintptr
