package seccomp

import (
	"slices"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

var architectures = []string{"amd64", "arm64", "arm", "riscv64", "ppc64le", "s390x"}

// everything is the longest filter that there is.
var everything = Options{PID: testPID, Directories: []int{9, 10}, RawSockets: true, OutboundInterface: true}

// TestRules: each call has one rule on each architecture, and a reason.
func TestRules(t *testing.T) {
	seen := make(map[[2]string]bool)
	for _, r := range Rules(everything) {
		if r.Why == "" {
			t.Errorf("%s: no reason", r.Call)
		}
		for _, c := range r.When {
			if c.Text == "" || len(c.Args) == 0 {
				t.Errorf("%s: a condition without text or arguments: %+v", r.Call, c)
			}
		}
		for _, a := range r.Only {
			if !slices.Contains(architectures, a) {
				t.Errorf("%s: there is no architecture %q", r.Call, a)
			}
		}
		for _, a := range architectures {
			if !r.on(a) {
				continue
			}
			if key := [2]string{r.Call, a}; seen[key] {
				t.Errorf("%s: two rules on %s: the second is never reached", r.Call, a)
			} else {
				seen[key] = true
			}
		}
	}
}

// TestNoNumberIsIdle: a number that no rule uses is one too many.
func TestNoNumberIsIdle(t *testing.T) {
	used := make(map[string]bool)
	for _, r := range Rules(everything) {
		if r.on(arch) {
			used[r.Call] = true
		}
	}
	for name := range numbers {
		if !used[name] {
			t.Errorf("%s has a number and no rule", name)
		}
	}
}

// TestOneBitMatters changes, in a call that is allowed, each bit of each
// argument that a condition looks at. No other condition may hold by chance.
func TestOneBitMatters(t *testing.T) {
	m := interpret(t, everything, Kill)
	for _, r := range Rules(everything) {
		if !r.on(arch) {
			continue
		}
		for _, c := range r.When {
			var good [6]uintptr
			for _, a := range c.Args {
				good[a.Index] = uintptr(a.Value) | ^uintptr(a.Mask)
			}
			if got := m.run(auditArch, numbers[r.Call], good); got != allow {
				t.Errorf("%s(%s): %#x", r.Call, c.Text, got)
			}
			for _, a := range c.Args {
				for bit := range 64 {
					bad := good
					bad[a.Index] ^= 1 << bit
					want := Kill
					if holdsAny(&r, bad) {
						want = allow
					}
					if got := m.run(auditArch, numbers[r.Call], bad); got != want {
						t.Errorf("%s(%#x): %#x, want %#x", r.Call, bad, got, want)
					}
				}
			}
		}
	}
}

// holdsAny is a rule's meaning, without the machine.
func holdsAny(r *Rule, args [6]uintptr) bool {
	return slices.ContainsFunc(r.When, func(c Condition) bool {
		for _, a := range c.Args {
			if uint64(args[a.Index])&a.Mask != a.Value {
				return false
			}
		}
		return true
	})
}

// TestProgram: the kernel takes 4096 instructions (BPF_MAXINSNS), and what is
// done for each packet is decided early.
func TestProgram(t *testing.T) {
	program, err := Assemble(Rules(everything), Kill)
	if err != nil {
		t.Fatal(err)
	}
	if len(program) > 500 {
		t.Errorf("%d instructions", len(program))
	}
	for _, call := range []string{"readv", "writev", "recvmsg", "sendmsg", "futex", "epoll_pwait"} {
		at := slices.IndexFunc(program, func(i bpf.RawInstruction) bool { return i.K == numbers[call] && i.Op&7 == 5 })
		if at < 0 || at > 30 {
			t.Errorf("%s is decided at instruction %d", call, at)
		}
	}
}

func TestAssembleErrors(t *testing.T) {
	if _, err := Assemble([]Rule{{Call: "no_such_call"}}, Kill); err == nil {
		t.Error("a call that does not exist was assembled")
	}
	long := Rule{Call: "read"}
	for i := range 100 {
		long.When = append(long.When, when("x", is(0, i)))
	}
	if _, err := Assemble([]Rule{long}, Kill); err == nil {
		t.Error("a rule that is too long to jump over was assembled")
	}
}

func TestParseAction(t *testing.T) {
	for name, want := range map[string]Action{"kill": Kill, "errno": Errno, "log": Log} {
		if got, err := ParseAction(name); got != want || err != nil {
			t.Errorf("%s: %#x, %v", name, got, err)
		}
	}
	if _, err := ParseAction("Kill"); err == nil {
		t.Error("Kill was taken for an action")
	}
	if Errno&0xffff != Action(unix.EPERM) {
		t.Errorf("errno's action says %d", Errno&0xffff)
	}
}
