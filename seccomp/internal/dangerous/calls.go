package dangerous

import (
	"runtime"
	"slices"

	"golang.org/x/sys/unix"
)

const (
	nowhere = 1 // a pointer that is none
	other   = 1 // the PID of somebody else
	here    = ^uintptr(99)
)

// All are all that the architecture has.
func All() []Call {
	return slices.Concat(programs, processes, namespaces, files(), sockets, options(), memory(), kernel, own)
}

// Calls that make programs and processes, or reach into other ones.
var (
	programs = []Call{
		{"execve", unix.SYS_EXECVE, args(nowhere)},
		{"execveat", unix.SYS_EXECVEAT, args(here, nowhere)},
		{"clone of a process", unix.SYS_CLONE, cloneArgs(uintptr(unix.SIGCHLD))},
		{"clone of a thread with its own files", unix.SYS_CLONE, cloneArgs(thread &^ unix.CLONE_FILES)},
		{"clone into a user namespace", unix.SYS_CLONE, cloneArgs(unix.CLONE_NEWUSER | uintptr(unix.SIGCHLD))},
		{"clone3", unix.SYS_CLONE3, args(nowhere, 64)},
		{"seccomp", unix.SYS_SECCOMP, args(unix.SECCOMP_SET_MODE_STRICT, 1)},
	}
	processes = []Call{
		{"ptrace(PTRACE_TRACEME)", unix.SYS_PTRACE, args(unix.PTRACE_TRACEME)},
		{"ptrace(PTRACE_ATTACH)", unix.SYS_PTRACE, args(unix.PTRACE_ATTACH, ^uintptr(0))},
		{"process_vm_readv", unix.SYS_PROCESS_VM_READV, args(other, nowhere, 1, nowhere, 1)},
		{"process_vm_writev", unix.SYS_PROCESS_VM_WRITEV, args(other, nowhere, 1, nowhere, 1)},
		{"process_madvise", unix.SYS_PROCESS_MADVISE, args(99, nowhere, 1)},
		{"kcmp", unix.SYS_KCMP, args(other, other, 99)},
		{"pidfd_open", unix.SYS_PIDFD_OPEN, args(other, 99)},
		{"pidfd_getfd", unix.SYS_PIDFD_GETFD, args(99)},
		{"pidfd_send_signal", unix.SYS_PIDFD_SEND_SIGNAL, args(99)},
		{"kill another", unix.SYS_KILL, args(other)},
		{"kill its group", unix.SYS_KILL, args(0)},
		{"kill all", unix.SYS_KILL, args(^uintptr(0))},
		{"tgkill another", unix.SYS_TGKILL, args(other, other)},
		{"tkill", unix.SYS_TKILL, args(other)},
		{"rt_sigqueueinfo", unix.SYS_RT_SIGQUEUEINFO, args(other, 0, nowhere)},
		{"rt_tgsigqueueinfo", unix.SYS_RT_TGSIGQUEUEINFO, args(other, other, 0, nowhere)},
		{"sched_setaffinity", unix.SYS_SCHED_SETAFFINITY, args(other, 8, nowhere)},
		{"setpriority", unix.SYS_SETPRIORITY, args(99)},
		{"prlimit64 that sets", unix.SYS_PRLIMIT64, args(0, unix.RLIMIT_NOFILE, nowhere)},
		{"prlimit64 of another", unix.SYS_PRLIMIT64, args(other, unix.RLIMIT_NOFILE)},
		{"setrlimit", unix.SYS_SETRLIMIT, args(99, nowhere)},
	}
)

// Calls that change what the process is, or where.
var namespaces = []Call{
	{"setns", unix.SYS_SETNS, args(99)},
	{"unshare(CLONE_NEWUSER)", unix.SYS_UNSHARE, args(unix.CLONE_NEWUSER | 1)},
	{"unshare(CLONE_NEWNS)", unix.SYS_UNSHARE, args(unix.CLONE_NEWNS | 1)},
	{"chroot", unix.SYS_CHROOT, args(nowhere)},
	{"pivot_root", unix.SYS_PIVOT_ROOT, args(nowhere, nowhere)},
	{"chdir", unix.SYS_CHDIR, args(nowhere)},
	{"fchdir", unix.SYS_FCHDIR, args(99)},
	{"mount", unix.SYS_MOUNT, args(nowhere, nowhere)},
	{"umount2", unix.SYS_UMOUNT2, args(nowhere)},
	{"mount_setattr", unix.SYS_MOUNT_SETATTR, args(here, nowhere)},
	{"move_mount", unix.SYS_MOVE_MOUNT, args(here, nowhere, here, nowhere)},
	{"open_tree", unix.SYS_OPEN_TREE, args(here, nowhere)},
	{"fsopen", unix.SYS_FSOPEN, args(nowhere)},
	{"fsconfig", unix.SYS_FSCONFIG, args(99)},
	{"fsmount", unix.SYS_FSMOUNT, args(99)},
	{"fspick", unix.SYS_FSPICK, args(here, nowhere)},
	{"setuid", unix.SYS_SETUID, args(^uintptr(0))},
	{"setgid", unix.SYS_SETGID, args(^uintptr(0))},
	{"setresuid", unix.SYS_SETRESUID, args(99, 99, 99)},
	{"setgroups", unix.SYS_SETGROUPS, args(1, nowhere)},
	{"setsid", unix.SYS_SETSID, args()},
	{"capset", unix.SYS_CAPSET, args(nowhere, nowhere)},
	{"prctl(PR_SET_DUMPABLE)", unix.SYS_PRCTL, args(unix.PR_SET_DUMPABLE, 99)},
	{"prctl(PR_SET_PTRACER)", unix.SYS_PRCTL, args(unix.PR_SET_PTRACER, 99)},
	{"prctl(PR_SET_SECCOMP)", unix.SYS_PRCTL, args(unix.PR_SET_SECCOMP, 99)},
	{"prctl(PR_CAP_AMBIENT)", unix.SYS_PRCTL, args(unix.PR_CAP_AMBIENT, 99)},
	{"prctl(PR_SET_MM)", unix.SYS_PRCTL, args(unix.PR_SET_MM, 99)},
	{"personality", unix.SYS_PERSONALITY, args(uintptr(uint32(0xffffffff)))},
	{"keyctl", unix.SYS_KEYCTL, args(99)},
	{"add_key", unix.SYS_ADD_KEY, args(nowhere, nowhere)},
	{"request_key", unix.SYS_REQUEST_KEY, args(nowhere, nowhere)},
	{"landlock_create_ruleset", unix.SYS_LANDLOCK_CREATE_RULESET, args(nowhere, 8)},
}

// files are calls that write to files, or read other than by name.
func files() []Call {
	all := []Call{
		{"openat2", unix.SYS_OPENAT2, args(here, nowhere, nowhere, 24)},
		{"open_by_handle_at", unix.SYS_OPEN_BY_HANDLE_AT, args(here, nowhere)},
		{"name_to_handle_at", unix.SYS_NAME_TO_HANDLE_AT, args(here, nowhere, nowhere)},
		{"unlinkat of the working directory", unix.SYS_UNLINKAT, args(here, nowhere)},
		{"unlinkat(AT_REMOVEDIR)", unix.SYS_UNLINKAT, args(Directory, nowhere, unix.AT_REMOVEDIR)},
		{"mkdirat", unix.SYS_MKDIRAT, args(here, nowhere)},
		{"mknodat", unix.SYS_MKNODAT, args(here, nowhere)},
		{"symlinkat", unix.SYS_SYMLINKAT, args(nowhere, here, nowhere)},
		{"linkat", unix.SYS_LINKAT, args(here, nowhere, here, nowhere)},
		{"renameat2", unix.SYS_RENAMEAT2, args(here, nowhere, here, nowhere)},
		{"fchmodat", unix.SYS_FCHMODAT, args(here, nowhere)},
		{"fchmod", unix.SYS_FCHMOD, args(99)},
		{"fchownat", unix.SYS_FCHOWNAT, args(here, nowhere)},
		{"truncate", unix.SYS_TRUNCATE, args(nowhere)},
		{"ftruncate", unix.SYS_FTRUNCATE, args(99)},
		{"fallocate", unix.SYS_FALLOCATE, args(99)},
		{"setxattr", unix.SYS_SETXATTR, args(nowhere, nowhere)},
		{"getdents64", unix.SYS_GETDENTS64, args(99, nowhere)},
		{"fanotify_init", unix.SYS_FANOTIFY_INIT, args(uintptr(uint32(0xffffffff)))},
		{"inotify_init1", unix.SYS_INOTIFY_INIT1, args(99)},
		{"dup3 onto a descriptor of ours", unix.SYS_DUP3, args(1, 3, 99)},
		{"sendfile", unix.SYS_SENDFILE, args(99, 99)},
		{"splice", unix.SYS_SPLICE, args(99, 0, 99, 0, 1)},
		{"vmsplice", unix.SYS_VMSPLICE, args(99, nowhere, 1)},
		{"copy_file_range", unix.SYS_COPY_FILE_RANGE, args(99, 0, 99, 0, 1)},
		{"fcntl(F_SETOWN)", fcntl, args(0, unix.F_SETOWN)},
		{"fcntl(F_NOTIFY)", fcntl, args(99, unix.F_NOTIFY)},
		{"ioctl(TIOCSTI)", unix.SYS_IOCTL, args(0, unix.TIOCSTI, nowhere)},
		{"ioctl(TUNSETIFF)", unix.SYS_IOCTL, args(0, unix.TUNSETIFF, nowhere)},
		{"ioctl(SIOCSIFADDR)", unix.SYS_IOCTL, args(0, 0x8916, nowhere)},
		{"ioctl(NS_GET_PARENT)", unix.SYS_IOCTL, args(0, unix.NS_GET_PARENT)},
	}
	for _, flag := range []struct {
		name string
		bits uintptr
	}{
		{"O_WRONLY", unix.O_WRONLY}, {"O_RDWR", unix.O_RDWR}, {"O_CREAT", unix.O_CREAT},
		{"O_TRUNC", unix.O_TRUNC}, {"O_PATH", unix.O_PATH}, {"O_TMPFILE", unix.O_TMPFILE},
	} {
		all = append(all, Call{"openat(" + flag.name + ")", unix.SYS_OPENAT, args(here, nowhere, flag.bits)})
	}
	return append(all, Call{"openat from a descriptor", unix.SYS_OPENAT, args(99, nowhere)})
}

// Directory is the descriptor that seccomp.Options.Directories has to have.
const Directory = 98

// Calls for sockets that are not the data plane's.
var sockets = []Call{
	{"socket(AF_UNIX)", unix.SYS_SOCKET, args(unix.AF_UNIX, unix.SOCK_STREAM)},
	{"socket(AF_PACKET)", unix.SYS_SOCKET, args(unix.AF_PACKET, unix.SOCK_RAW)},
	{"socket(AF_ALG)", unix.SYS_SOCKET, args(unix.AF_ALG, unix.SOCK_SEQPACKET)},
	{"socket(AF_VSOCK)", unix.SYS_SOCKET, args(unix.AF_VSOCK, unix.SOCK_STREAM)},
	{"socket(AF_BLUETOOTH)", unix.SYS_SOCKET, args(unix.AF_BLUETOOTH, unix.SOCK_RAW)},
	{"socket(AF_XDP)", unix.SYS_SOCKET, args(unix.AF_XDP, unix.SOCK_RAW)},
	{"socket(AF_NETLINK, NETLINK_NETFILTER)", unix.SYS_SOCKET, args(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER)},
	{"socket(AF_NETLINK, NETLINK_SOCK_DIAG)", unix.SYS_SOCKET, args(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_SOCK_DIAG)},
	{"socket(AF_INET, SOCK_RAW, IPPROTO_TCP)", unix.SYS_SOCKET, args(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_TCP)},
	{"socket(AF_INET, SOCK_RAW, IPPROTO_RAW)", unix.SYS_SOCKET, args(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)},
	{"socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP)", unix.SYS_SOCKET, args(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP)},
	{"socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP)", unix.SYS_SOCKET, args(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP)},
	{"socketpair(AF_UNIX, SOCK_DGRAM)", unix.SYS_SOCKETPAIR, args(unix.AF_UNIX, unix.SOCK_DGRAM, 0, nowhere)},
	{"socketpair(AF_TIPC)", unix.SYS_SOCKETPAIR, args(unix.AF_TIPC, unix.SOCK_STREAM, 0, nowhere)},
}

// options are those of sockets that let in programs of their own, reach other
// interfaces or protocols, or change what addresses one may have. A filter is
// dangerous where there are no raw sockets, an interface without
// --outbound-addr.
func options() (all []Call) {
	set := func(name string, level, option int) {
		all = append(all, Call{"setsockopt(" + name + ")", unix.SYS_SETSOCKOPT, args(0, uintptr(level), uintptr(option), nowhere, 4)})
	}
	set("SOL_NETLINK", unix.SOL_NETLINK, 99)
	set("SOL_PACKET", unix.SOL_PACKET, 99)
	set("IPPROTO_RAW", unix.IPPROTO_RAW, 99)
	set("SO_ATTACH_FILTER", unix.SOL_SOCKET, unix.SO_ATTACH_FILTER)
	set("SO_ATTACH_BPF", unix.SOL_SOCKET, unix.SO_ATTACH_BPF)
	set("SO_ATTACH_REUSEPORT_CBPF", unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF)
	set("SO_ATTACH_REUSEPORT_EBPF", unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_EBPF)
	set("SO_LOCK_FILTER", unix.SOL_SOCKET, unix.SO_LOCK_FILTER)
	set("SO_BINDTODEVICE", unix.SOL_SOCKET, unix.SO_BINDTODEVICE)
	set("SO_BINDTOIFINDEX", unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX)
	set("SO_REUSEPORT", unix.SOL_SOCKET, unix.SO_REUSEPORT)
	set("SO_MARK", unix.SOL_SOCKET, unix.SO_MARK)
	set("SO_PRIORITY", unix.SOL_SOCKET, unix.SO_PRIORITY)
	set("SO_DEBUG", unix.SOL_SOCKET, unix.SO_DEBUG)
	set("SO_SNDBUFFORCE", unix.SOL_SOCKET, unix.SO_SNDBUFFORCE)
	set("SO_ZEROCOPY", unix.SOL_SOCKET, unix.SO_ZEROCOPY)
	set("IP_HDRINCL", unix.IPPROTO_IP, unix.IP_HDRINCL)
	set("IP_OPTIONS", unix.IPPROTO_IP, unix.IP_OPTIONS)
	set("IP_TRANSPARENT", unix.IPPROTO_IP, unix.IP_TRANSPARENT)
	set("IP_FREEBIND", unix.IPPROTO_IP, unix.IP_FREEBIND)
	set("IP_ADD_MEMBERSHIP", unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP)
	set("IP_MSFILTER", unix.IPPROTO_IP, unix.IP_MSFILTER)
	set("iptables", unix.IPPROTO_IP, 64) // IPT_SO_SET_REPLACE
	set("IPV6_HDRINCL", unix.IPPROTO_IPV6, unix.IPV6_HDRINCL)
	set("IPV6_RTHDR", unix.IPPROTO_IPV6, unix.IPV6_RTHDR)
	set("IPV6_TRANSPARENT", unix.IPPROTO_IPV6, unix.IPV6_TRANSPARENT)
	set("IPV6_JOIN_GROUP", unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP)
	set("ip6tables", unix.IPPROTO_IPV6, 64) // IP6T_SO_SET_REPLACE
	set("TCP_ULP", unix.IPPROTO_TCP, unix.TCP_ULP)
	set("TCP_REPAIR", unix.IPPROTO_TCP, unix.TCP_REPAIR)
	set("TCP_CONGESTION", unix.IPPROTO_TCP, unix.TCP_CONGESTION)
	set("TCP_MD5SIG", unix.IPPROTO_TCP, unix.TCP_MD5SIG)
	set("UDP_ENCAP", unix.IPPROTO_UDP, unix.UDP_ENCAP)
	return all
}

// memory are calls that make code of data.
func memory() []Call {
	all := []Call{
		{"mprotect(PROT_EXEC)", unix.SYS_MPROTECT, args(page, 4096, unix.PROT_READ|unix.PROT_EXEC)},
		{"mprotect", unix.SYS_MPROTECT, args(page, 4096, unix.PROT_READ)},
		{"pkey_mprotect", unix.SYS_PKEY_MPROTECT, args(page, 4096, unix.PROT_EXEC, ^uintptr(0))},
		{"mremap", unix.SYS_MREMAP, args(page, 4096, 8192)},
		{"remap_file_pages", unix.SYS_REMAP_FILE_PAGES, args(page, 4096)},
		{"memfd_create", unix.SYS_MEMFD_CREATE, args(nowhere)},
		{"memfd_secret", 447, args(99)},
		{"userfaultfd", unix.SYS_USERFAULTFD, args(99)},
		{"shmat", unix.SYS_SHMAT, args(99)},
	}
	// On s390x the arguments of mmap are out of the filter's sight.
	if runtime.GOARCH != "s390x" {
		all = append(all,
			Call{"mmap(PROT_EXEC)", mmap, args(0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, ^uintptr(0))},
			Call{"mmap of a file", mmap, args(0, 4096, unix.PROT_READ, unix.MAP_PRIVATE, 99)})
	}
	return all
}

// page is an address where nothing is mapped.
const page = 4096

// Calls into parts of the kernel that are none of ours.
var kernel = []Call{
	{"bpf", unix.SYS_BPF, args(0, nowhere, 128)},
	{"perf_event_open", unix.SYS_PERF_EVENT_OPEN, args(nowhere)},
	{"io_uring_setup", unix.SYS_IO_URING_SETUP, args(1, nowhere)},
	{"io_uring_enter", unix.SYS_IO_URING_ENTER, args(99)},
	{"io_uring_register", unix.SYS_IO_URING_REGISTER, args(99)},
	{"io_setup", unix.SYS_IO_SETUP, args(1, nowhere)},
	{"init_module", unix.SYS_INIT_MODULE, args(nowhere, 1, nowhere)},
	{"finit_module", unix.SYS_FINIT_MODULE, args(99, nowhere)},
	{"delete_module", unix.SYS_DELETE_MODULE, args(nowhere)},
	{"kexec_load", unix.SYS_KEXEC_LOAD, args(0, 99, nowhere, 99)},
	{"reboot", unix.SYS_REBOOT, args(99)},
	{"swapon", unix.SYS_SWAPON, args(nowhere)},
	{"acct", unix.SYS_ACCT, args(nowhere)},
	{"quotactl", unix.SYS_QUOTACTL, args(99, nowhere)},
	{"syslog", unix.SYS_SYSLOG, args(99)},
	{"sethostname", unix.SYS_SETHOSTNAME, args(nowhere, 1)},
	{"settimeofday", unix.SYS_SETTIMEOFDAY, args(nowhere)},
	{"clock_settime", unix.SYS_CLOCK_SETTIME, args(99, nowhere)},
	{"adjtimex", unix.SYS_ADJTIMEX, args(nowhere)},
	{"timer_create", unix.SYS_TIMER_CREATE, args(99, nowhere, nowhere)},
	{"shmget", unix.SYS_SHMGET, args(99)},
	{"msgget", unix.SYS_MSGGET, args(99)},
	{"semget", unix.SYS_SEMGET, args(99)},
	{"mq_open", unix.SYS_MQ_OPEN, args(nowhere)},
	{"lookup_dcookie", unix.SYS_LOOKUP_DCOOKIE, args(0, nowhere)},
	{"no such call", 9999, args()},
}

// thread are the flags by which Go's runtime makes a thread.
const thread = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD

// cloneArgs has flags where the architecture expects them.
func cloneArgs(flags uintptr) [6]uintptr {
	if runtime.GOARCH == "s390x" {
		return args(0, flags)
	}
	return args(flags)
}

func args(a ...uintptr) (six [6]uintptr) {
	copy(six[:], a)
	return six
}
