package seccomp

import "golang.org/x/sys/unix"

// sixtyFour are the architectures with 64-bit file sizes in all calls.
var sixtyFour = []string{"amd64", "arm64", "riscv64", "ppc64le", "s390x"}

// cloneThread is how the runtime makes a thread: cloneFlags of
// runtime/os_linux.go, and on amd64 CLONE_SETTLS. A process would share less.
const cloneThread = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD

// runtimeCalls is what the Go runtime does.
func runtimeCalls(o Options) []Rule {
	const (
		memory  = "the heap, which is never executable"
		threads = "another thread for the runtime"
		signals = "signals of the runtime's, and those that end us"
		clock   = "the time, where the vDSO does not know it"
		procs   = "how many processors there are"
		end     = "the end"
	)
	data := Arg{2, long &^ (unix.PROT_READ | unix.PROT_WRITE), 0}
	anonymous := []Condition{when("at most PROT_READ|PROT_WRITE, MAP_ANONYMOUS", data, Arg{3, unix.MAP_ANONYMOUS, unix.MAP_ANONYMOUS})}
	thread := func(index int) []Condition {
		return []Condition{when("CLONE_VM|FS|FILES|SIGHAND|SYSVSEM|THREAD, with or without SETTLS", Arg{index, long &^ unix.CLONE_SETTLS, cloneThread})}
	}
	self := when("to itself", is(0, o.PID))
	return []Rule{
		{Call: "madvise", Why: memory},
		{Call: "munmap", Why: memory},
		{Call: "mmap", When: anonymous, Only: []string{"amd64", "arm64", "riscv64", "ppc64le"}, Why: memory},
		{Call: "mmap2", When: anonymous, Only: []string{"arm"}, Why: memory},
		{Call: "mmap", Only: []string{"s390x"}, Why: memory + "; its arguments are in memory, where a filter cannot see them"},
		{Call: "clone", When: thread(0), Only: []string{"amd64", "arm64", "arm", "riscv64", "ppc64le"}, Why: threads},
		{Call: "clone", When: thread(1), Only: []string{"s390x"}, Why: threads},
		{Call: "prctl", When: []Condition{when("PR_SET_VMA", is(0, int(unix.PR_SET_VMA)))}, Why: "the runtime names its mappings"},
		{Call: "gettid", Why: threads},
		{Call: "sched_yield", Why: "the runtime's waiting"},
		{Call: "rt_sigprocmask", Why: signals},
		{Call: "rt_sigaction", Why: signals},
		{Call: "sigaltstack", Why: signals},
		{Call: "kill", When: []Condition{self}, Why: signals},
		{Call: "tkill", When: []Condition{when("the main thread", is(0, o.PID))}, Only: []string{"riscv64"}, Why: "how the runtime ends by a signal there"},
		{Call: "restart_syscall", Why: "a wait goes on after SIGSTOP and SIGCONT"},
		{Call: "futex_time64", Only: []string{"arm"}, Why: "the runtime's locks"},
		{Call: "clock_gettime", Why: clock},
		{Call: "clock_gettime64", Only: []string{"arm"}, Why: clock},
		{Call: "gettimeofday", Only: []string{"riscv64"}, Why: clock},
		{Call: "getrandom", Why: "random numbers"},
		{Call: "sched_getaffinity", Why: procs},
		{Call: "prlimit64", When: []Condition{when("of itself, nothing new", is(0, 0), Arg{2, long, 0})}, Why: "how many descriptors there may be"},
		{Call: "uname", Why: "the kernel's version, for the net package"},
		{Call: "eventfd2", Why: "the runtime's poller"},
		{Call: "epoll_create1", Why: "pollers"},
		{Call: "pipe2", Why: "a ready-fd that is a standard descriptor is replaced after use"},
		{Call: "poll", Only: []string{"amd64", "arm", "ppc64le", "s390x"}, Why: "the exit-fd"},
		{Call: "ppoll", Why: "the exit-fd"},
		{Call: "exit", Why: end},
		{Call: "exit_group", Why: end},
	}
}
