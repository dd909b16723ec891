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
	LimitBounding              // prctl(PR_CAPBSET_DROP), the first of many

	actCount = 6 + 40
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
	// All but CAP_NET_BIND_SERVICE, of those that there were in Linux 5.9. Go's
	// runtime has threads, and for each capability all of them would have to
	// be stopped, which takes 0.14 ms.
	LimitBounding: {'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_CHOWN, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_DAC_OVERRIDE, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_DAC_READ_SEARCH, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_FOWNER, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_FSETID, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_KILL, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_SETGID, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_SETUID, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_SETPCAP, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_LINUX_IMMUTABLE, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_NET_BROADCAST, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_NET_ADMIN, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_NET_RAW, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_IPC_LOCK, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_IPC_OWNER, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_SYS_MODULE, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_SYS_RAWIO, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_SYS_CHROOT, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_SYS_PTRACE, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_SYS_PACCT, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_SYS_ADMIN, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_SYS_BOOT, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_SYS_NICE, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_SYS_RESOURCE, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_SYS_TIME, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_SYS_TTY_CONFIG, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_MKNOD, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_LEASE, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_AUDIT_WRITE, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_AUDIT_CONTROL, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_SETFCAP, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_MAC_OVERRIDE, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_MAC_ADMIN, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_SYSLOG, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_WAKE_ALARM, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_BLOCK_SUSPEND, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_AUDIT_READ, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_PERFMON, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_BPF, notRun},
	{'B', unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, unix.CAP_CHECKPOINT_RESTORE, notRun},
}

// marker is compared, byte by byte, with the start of envp[0].
var marker = [markerLen]byte{
	'S', 'L', 'I', 'R', 'P', '4', 'N', 'E', 'T', 'N', 'S', '_', 'D', 'O', 'O', 'R', '=',
}

const markerLen = 17

// linked is set to 1 by the door each time that it runs.
var linked uintptr
