package seccomp

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/seccomp/internal/dangerous"
)

const testPID = 4711

// machine is a filter in x/net/bpf's interpreter.
type machine struct {
	t  *testing.T
	vm *bpf.VM
}

func interpret(t *testing.T, o Options, deny Action) machine {
	t.Helper()
	raw, err := Assemble(Rules(o), deny)
	if err != nil {
		t.Fatal(err)
	}
	program, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatalf("an instruction that the interpreter does not know: %v", program)
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	return machine{t, vm}
}

// run is what the kernel would do with the call: struct seccomp_data of
// linux/seccomp.h. The interpreter loads words as they come over a network.
func (m machine) run(arch, nr uint32, args [6]uintptr) Action {
	m.t.Helper()
	words := []uint32{nr, arch, 0, 0} // the latter are the instruction pointer
	for _, a := range args {
		low, high := uint32(a), uint32(uint64(a)>>32)
		if bigEndian {
			low, high = high, low
		}
		words = append(words, low, high)
	}
	var data []byte
	for _, w := range words {
		data = binary.BigEndian.AppendUint32(data, w)
	}
	ret, err := m.vm.Run(data)
	if err != nil {
		m.t.Fatal(err)
	}
	return Action(ret)
}

func (m machine) call(name string, args ...uintptr) Action {
	m.t.Helper()
	nr, ok := numbers[name]
	if !ok {
		m.t.Fatalf("no call %s", name)
	}
	var six [6]uintptr
	copy(six[:], args)
	return m.run(auditArch, nr, six)
}

// TestDangerousCallsAreDenied is the same table as the victim's.
func TestDangerousCallsAreDenied(t *testing.T) {
	m := interpret(t, Options{PID: testPID, Directories: []int{dangerous.Directory}}, Kill)
	for _, c := range dangerous.All() {
		if got := m.run(auditArch, uint32(c.Nr), c.Args); got != Kill {
			t.Errorf("%s: %#x, want %#x", c.Name, got, Kill)
		}
	}
}

// all is an argument with all bits set that the kernel does not look at.
const all = ^uintptr(0)

func TestAllowedCalls(t *testing.T) {
	m := interpret(t, Options{PID: testPID, Directories: []int{9}}, Kill)
	const cwd = ^uintptr(99) // AT_FDCWD
	type call struct {
		name string
		args []uintptr
	}
	calls := []call{
		{"read", []uintptr{all, all, all}}, {"write", []uintptr{all, all, all}},
		{"readv", nil}, {"writev", nil}, {"recvmsg", nil}, {"sendmsg", nil}, {"futex", []uintptr{all, all}},
		{"tgkill", []uintptr{testPID, 4712, uintptr(unix.SIGURG)}},
		{"kill", []uintptr{testPID, uintptr(unix.SIGTERM)}},
		{"ioctl", []uintptr{7, unix.SIOCINQ, all}}, {"ioctl", []uintptr{7, unix.SIOCOUTQ, all}},
		{"socket", []uintptr{unix.AF_INET, unix.SOCK_STREAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK, 0}},
		{"socket", []uintptr{unix.AF_INET6, unix.SOCK_DGRAM | unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6}},
		{"socket", []uintptr{unix.AF_NETLINK, unix.SOCK_RAW | unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE}},
		{"socketpair", []uintptr{unix.AF_UNIX, unix.SOCK_STREAM | unix.SOCK_CLOEXEC, 0, all}},
		{"setsockopt", []uintptr{7, unix.IPPROTO_IPV6, unix.IPV6_RECVERR}},
		{"setsockopt", []uintptr{7, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT}},
		{"openat", []uintptr{cwd, all, unix.O_RDONLY | unix.O_CLOEXEC}},
		// What the kernel makes an int of may have anything in its upper half.
		{"openat", []uintptr{cwd & 0xffffffff, all, unix.O_RDONLY | unix.O_CLOEXEC}},
		{"dup3", []uintptr{7, 0, 0}}, {"dup3", []uintptr{7, 2, 0}},
		{"unlinkat", []uintptr{9, all, 0}},
		{"clone", threadArgs(cloneThread)}, {"clone", threadArgs(cloneThread | unix.CLONE_SETTLS)},
		{"prctl", []uintptr{unix.PR_SET_VMA, all}},
		{"prlimit64", []uintptr{0, unix.RLIMIT_NOFILE, 0, all}},
		{"exit_group", []uintptr{1}},
	}
	for _, name := range []string{"mmap", "mmap2"} {
		if _, ok := numbers[name]; ok {
			calls = append(calls,
				call{name, []uintptr{0, 4096, unix.PROT_READ | unix.PROT_WRITE, unix.MAP_ANONYMOUS | unix.MAP_PRIVATE, all}},
				call{name, []uintptr{0, 4096, unix.PROT_NONE, unix.MAP_ANONYMOUS | unix.MAP_PRIVATE | unix.MAP_FIXED, all}})
		}
	}
	for _, c := range calls {
		if got := m.call(c.name, c.args...); got != allow {
			t.Errorf("%s(%#x): %#x, want it allowed", c.name, c.args, got)
		}
	}
}

// threadArgs has clone's flags where the architecture expects them.
func threadArgs(flags uintptr) []uintptr {
	if arch == "s390x" {
		return []uintptr{all, flags}
	}
	return []uintptr{flags}
}

// TestActions: what is denied is denied as asked; what is no call of ours at
// all is never let through.
func TestActions(t *testing.T) {
	execve := uint32(unix.SYS_EXECVE)
	var none [6]uintptr
	for _, c := range []struct{ deny, own, foreign Action }{
		{Kill, Kill, Kill},
		{Errno, Errno, Errno},
		{Log, Log, Errno},
		{trap, trap, trap},
	} {
		m := interpret(t, Options{PID: testPID, Directories: nil}, c.deny)
		if got := m.run(auditArch, execve, none); got != c.own {
			t.Errorf("%#x: execve: %#x, want %#x", c.deny, got, c.own)
		}
		for _, foreign := range []uint32{unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_MIPS, 0} {
			for _, nr := range numbers {
				if got := m.run(foreign, nr, none); got != c.foreign {
					t.Errorf("%#x: call %d of architecture %#x: %#x, want %#x", c.deny, nr, foreign, got, c.foreign)
				}
			}
		}
		for _, nr := range []uint32{x32Bit | unix.SYS_READ, x32Bit, 1 << 31, 1<<32 - 1} {
			if got := m.run(auditArch, nr, none); got != c.foreign {
				t.Errorf("%#x: call %#x: %#x, want %#x", c.deny, nr, got, c.foreign)
			}
		}
	}
}

// TestDirectory: without one, nothing can be unlinked; without a sandbox the
// files of sockets are removed by their paths.
func TestDirectory(t *testing.T) {
	cwd := ^uintptr(99)
	for _, c := range []struct {
		directories []int
		arg         uintptr
		want        Action
	}{
		{nil, cwd, Kill}, {nil, all, Kill}, {nil, 9, Kill},
		{[]int{9}, 9, allow}, {[]int{9}, 8, Kill}, {[]int{9}, cwd, Kill},
		{[]int{7, 9}, 7, allow}, {[]int{7, 9}, 9, allow}, {[]int{7, 9}, 8, Kill},
		{[]int{unix.AT_FDCWD}, cwd, allow}, {[]int{unix.AT_FDCWD}, 9, Kill},
	} {
		m := interpret(t, Options{PID: testPID, Directories: c.directories}, Kill)
		if got := m.call("unlinkat", c.arg, 0, 0); got != c.want {
			t.Errorf("directories %v: unlinkat(%#x): %#x, want %#x", c.directories, c.arg, got, c.want)
		}
	}
}

// TestOptional: what only some processes need is denied to all others.
func TestOptional(t *testing.T) {
	filter := []uintptr{7, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER}
	device, index := []uintptr{7, unix.SOL_SOCKET, unix.SO_BINDTODEVICE}, []uintptr{7, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX}
	for _, o := range []Options{{}, {RawSockets: true}, {OutboundInterface: true}} {
		m := interpret(t, o, Kill)
		for _, c := range []struct {
			args []uintptr
			want bool
		}{{filter, o.RawSockets}, {device, o.OutboundInterface}, {index, o.OutboundInterface}} {
			if got := m.call("setsockopt", c.args...) == allow; got != c.want {
				t.Errorf("%+v: setsockopt(%d, %d): %t, want %t", o, c.args[1], c.args[2], got, c.want)
			}
		}
	}
}
