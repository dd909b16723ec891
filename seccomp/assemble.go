package seccomp

import (
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Action is what happens to a call that no rule allows: one of the values of
// seccomp(2).
type Action uint32

const (
	// Kill ends the process as by SIGSYS.
	Kill Action = unix.SECCOMP_RET_KILL_PROCESS
	// Log lets the call pass and writes it to the kernel's log.
	Log Action = unix.SECCOMP_RET_LOG
	// Errno makes the call fail with EPERM.
	Errno Action = unix.SECCOMP_RET_ERRNO | Action(unix.EPERM)
	// trap is for kernels before 4.14, which cannot kill more than a thread:
	// the runtime dies of the SIGSYS.
	trap Action = unix.SECCOMP_RET_TRAP

	allow Action = unix.SECCOMP_RET_ALLOW
)

// ParseAction reads the name of an action: kill, errno or log.
func ParseAction(name string) (Action, error) {
	switch name {
	case "kill":
		return Kill, nil
	case "errno":
		return Errno, nil
	case "log":
		return Log, nil
	}
	return 0, fmt.Errorf("seccomp: unknown action %q", name)
}

// Offsets in struct seccomp_data (linux/seccomp.h) in bytes.
const (
	offsetNr   = 0
	offsetArch = 4
	offsetArgs = 16
	sizeArg    = 8
	sizeWord   = 4
)

// x32Bit marks calls of the x32 ABI, which has amd64's AUDIT_ARCH.
const x32Bit = 0x40000000

// Assemble makes the program of rules for the architecture that this was built
// for. A rule for a call that the architecture does not have is an error.
func Assemble(rules []Rule, deny Action) ([]bpf.RawInstruction, error) {
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetArch, Size: sizeWord},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: auditArch, SkipTrue: 1},
		bpf.RetConstant{Val: uint32(foreign(deny))},
		bpf.LoadAbsolute{Off: offsetNr, Size: sizeWord},
		bpf.JumpIf{Cond: bpf.JumpLessThan, Val: x32Bit, SkipTrue: 1},
		bpf.RetConstant{Val: uint32(foreign(deny))},
	}
	for i := range rules {
		r := &rules[i]
		if !r.on(arch) {
			continue
		}
		nr, ok := numbers[r.Call]
		if !ok {
			return nil, fmt.Errorf("seccomp: %s has no system call %s", arch, r.Call)
		}
		body := r.body(deny)
		if len(body) > 255 {
			return nil, fmt.Errorf("seccomp: the rule for %s has %d instructions, at most 255", r.Call, len(body))
		}
		program = append(program, bpf.JumpIf{Cond: bpf.JumpEqual, Val: nr, SkipFalse: uint8(len(body))})
		program = append(program, body...)
	}
	program = append(program, bpf.RetConstant{Val: uint32(deny)})
	return bpf.Assemble(program)
}

// foreign is for calls that come from no code of ours, so that there is nothing
// to find out by letting them pass.
func foreign(deny Action) Action {
	if deny == Log {
		return Errno
	}
	return deny
}

// body returns for a call that r is about.
func (r *Rule) body(deny Action) []bpf.Instruction {
	pass := bpf.RetConstant{Val: uint32(allow)}
	if r.When == nil {
		return []bpf.Instruction{pass}
	}
	var b []bpf.Instruction
	for _, c := range r.When {
		tests := c.tests()
		// Where a comparison fails, the next condition is tried.
		for i, ins := range tests {
			if j, ok := ins.(bpf.JumpIf); ok {
				j.SkipFalse = uint8(len(tests) - i)
				tests[i] = j
			}
		}
		b = append(append(b, tests...), pass)
	}
	return append(b, bpf.RetConstant{Val: uint32(deny)})
}

// tests compares the arguments, 32 bits at a time.
func (c *Condition) tests() []bpf.Instruction {
	var b []bpf.Instruction
	for _, a := range c.Args {
		for half := range 2 {
			shift := 32 * half
			mask, value := uint32(a.Mask>>shift), uint32(a.Value>>shift)
			if mask == 0 {
				continue
			}
			off := offsetArgs + sizeArg*a.Index
			first := 0
			if bigEndian {
				first = 1
			}
			if half != first {
				off += sizeWord
			}
			b = append(b, bpf.LoadAbsolute{Off: uint32(off), Size: sizeWord})
			if mask != word {
				b = append(b, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: mask})
			}
			b = append(b, bpf.JumpIf{Cond: bpf.JumpEqual, Val: value})
		}
	}
	return b
}
