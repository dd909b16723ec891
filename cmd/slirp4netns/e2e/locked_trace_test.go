package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// tracerEnv makes this test's binary, run in a guest, try to get hold of the
// process whose PID it names.
const tracerEnv = "SLIRP_TEST_TRACER"

func init() {
	if pid, err := strconv.Atoi(os.Getenv(tracerEnv)); err == nil {
		json.NewEncoder(os.Stdout).Encode(trace(pid))
		os.Exit(0)
	}
}

// trace tries each way to look into a process, or to change it, and returns
// what came of it.
func trace(pid int) map[string]string {
	runtime.LockOSThread() // a tracer is a thread
	proc := func(name string) string { return fmt.Sprintf("/proc/%d/%s", pid, name) }
	open := func(name string, flags int) error {
		fd, err := unix.Open(proc(name), flags|unix.O_CLOEXEC, 0)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
	vm := func(call uintptr) error {
		var b [1]byte
		ours := unix.Iovec{Base: &b[0], Len: 1}
		theirs := unix.RemoteIovec{Base: 1, Len: 1} // nothing is there: EFAULT at best
		_, _, errno := unix.Syscall6(call, uintptr(pid), uintptr(unsafe.Pointer(&ours)), 1, uintptr(unsafe.Pointer(&theirs)), 1, 0)
		return errno
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	ways := map[string]error{"pidfd_open": err}
	// What a process lets only those do who may trace it: ptrace(2), "Ptrace
	// access mode checking".
	_, ways["pidfd_getfd"] = unix.PidfdGetfd(pidfd, 0, 0)
	ways["process_vm_readv"] = vm(unix.SYS_PROCESS_VM_READV)
	ways["process_vm_writev"] = vm(unix.SYS_PROCESS_VM_WRITEV)
	_, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(pid), uintptr(os.Getpid()), 1, 0, 0, 0)
	if ways["kcmp"] = nil; errno != 0 {
		ways["kcmp"] = errno
	}
	ways["setns"] = unix.Setns(pidfd, unix.CLONE_NEWNS)
	ways["mem"] = open("mem", unix.O_RDWR)
	ways["maps"] = open("maps", unix.O_RDONLY)
	ways["environ"] = open("environ", unix.O_RDONLY)
	ways["root"] = open("root/", unix.O_PATH)
	ways["cwd"] = open("cwd/", unix.O_PATH)
	ways["exe"] = open("exe", unix.O_RDONLY)
	ways["fd"] = open("fd", unix.O_RDONLY)
	ways["fd/0"] = open("fd/0", unix.O_PATH)
	ways["ns/mnt"] = open("ns/mnt", unix.O_RDONLY)
	if ways["PTRACE_SEIZE"] = unix.PtraceSeize(pid); ways["PTRACE_SEIZE"] == nil {
		unix.PtraceInterrupt(pid)
		letGo(pid)
	}
	if ways["PTRACE_ATTACH"] = unix.PtraceAttach(pid); ways["PTRACE_ATTACH"] == nil {
		letGo(pid)
	}
	for name, call := range namespaceWays {
		ways[name] = call.get(pidfd)
	}
	// That he may ask tells that he may set.
	ways["prlimit"] = unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, new(unix.Rlimit))
	said := make(map[string]string)
	for way, err := range ways {
		said[way] = "done"
		if e, ok := err.(unix.Errno); ok && e != 0 {
			said[way] = unix.ErrnoName(e)
		} else if err != nil && !ok {
			said[way] = err.Error()
		}
	}
	return said
}

// letGo ends tracing a process that is about to stop.
func letGo(pid int) {
	unix.Wait4(pid, nil, unix.WALL, nil)
	unix.PtraceDetach(pid)
}

// tracerWays are what trace must be refused, and with what.
var tracerWays = map[string]string{
	"pidfd_getfd": "EPERM", "process_vm_readv": "EPERM", "process_vm_writev": "EPERM", "kcmp": "EPERM",
	"mem": "EACCES", "maps": "EACCES", "environ": "EACCES", "root": "EACCES", "cwd": "EACCES", "exe": "EACCES",
	"fd": "EACCES", "fd/0": "EACCES", "ns/mnt": "EACCES", "setns": "EPERM",
	"PTRACE_SEIZE": "EPERM", "PTRACE_ATTACH": "EPERM",
}

// runTracer runs trace as the guest's root.
func runTracer(t *testing.T, g *lab.Guest, pid int) (said map[string]string) {
	t.Helper()
	out := g.Run(t, commandTimeout, "env", fmt.Sprintf("%s=%d", tracerEnv, pid), again(t))
	if err := json.Unmarshal([]byte(out), &said); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return said
}

// TestGuestRootCannotTouchTheLocked: the sandboxed process is in the guest's
// user namespace, with the same user ID, and the guest's root has all
// capabilities there. He sees it, and can do nothing to it but send signals and
// take resources from it (prlimit(2), setpriority(2)): denial of service.
func TestGuestRootCannotTouchTheLocked(t *testing.T) {
	for name, args := range map[string]func(*lab.Guest) []string{"PID": nil, "path": pathOnly} {
		for uid, as := range map[int]string{user: "user", 0: "root"} {
			t.Run(as+", "+name, func(t *testing.T) {
				g := lab.NewGuest(t, byUser)
				o := lab.SlirpOptions{UID: uid, Args: append(bothLocks[:2:2], "-c", strconv.Itoa(g.PID), "tap0")}
				if args != nil {
					o.Args = append(bothLocks[:2:2], args(g)...)
				}
				s := lab.StartSlirp(t, o)
				if uid == user && namespaceOf(t, s.Process.Pid, "user") != namespaceOf(t, g.PID, "user") {
					t.Errorf("it is not in the guest's user namespace")
				}
				said := runTracer(t, g, s.Process.Pid)
				for way, want := range tracerWays {
					if way == "fd" && uid == 0 && lab.OneUser() {
						continue // root is the guest's user, who may list the numbers
					}
					if said[way] != want {
						t.Errorf("%s: %s, want %s", way, said[way], want)
					}
				}
				for way := range namespaceWays {
					if got := said[way]; got == "done" || got == "" {
						t.Errorf("%s: %q, want a refusal (docs/security.md, What is not a boundary)", way, got)
					}
				}
				if got, can := said["prlimit"], uid == user || lab.OneUser(); (got == "done") != can {
					t.Errorf("prlimit: %s, want it to be done: %t", got, can)
				}
				checkReachesHost(t, g)
			})
		}
	}
}

// TestGuestRootTracesOthers is what the same tracer says of a process of the
// guest's own, and of the C program with both locks: nothing is refused.
func TestGuestRootTracesOthers(t *testing.T) {
	g := lab.NewGuest(t, byUser)
	c := lab.StartSlirp(t, lab.SlirpOptions{Binary: lab.Reference, UID: user,
		Args: append(bothLocks[:2:2], "-c", strconv.Itoa(g.PID), "tap0")})
	for name, pid := range map[string]int{"his own": g.PID, "the C program": c.Process.Pid} {
		said := runTracer(t, g, pid)
		for way := range tracerWays {
			want := "done"
			switch way {
			case "process_vm_readv", "process_vm_writev":
				want = "EFAULT"
			case "setns":
				want = "EINVAL" // for a tracer with threads
			}
			if said[way] != want {
				t.Errorf("%s, %s: %s, want %s", name, way, said[way], want)
			}
		}
		for way, call := range namespaceWays {
			if got := said[way]; !call.own && got != "done" && got != "ENOTTY" {
				t.Errorf("%s, %s: %s, want it to be done, or not to be known", name, way, got)
			}
		}
	}
}
