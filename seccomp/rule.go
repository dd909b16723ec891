package seccomp

import (
	"fmt"
	"strings"
)

// Rule allows one system call.
type Rule struct {
	Call string
	// When are the conditions on its arguments, of which one must hold. Without
	// any the call is allowed whatever its arguments.
	When []Condition
	Why  string
	// Only are the architectures (GOARCH) that have the call, or make it; nil:
	// all.
	Only []string
}

// Condition holds when all of its arguments are as they should be.
type Condition struct {
	Text string // for people
	Args []Arg
}

// Arg compares an argument with a value under a mask. Bits that the mask does
// not have are ignored: the kernel does not look at the upper half of an int.
type Arg struct {
	Index int // 0 to 5
	Mask  uint64
	Value uint64
}

// word is the mask for an argument that is an int.
const word = 0xffffffff

// long is the mask for an argument that is a long, or a pointer.
const long = ^uint64(0)

// is compares an int.
func is[T ~int | ~uint32 | ~uint](index int, value T) Arg {
	return Arg{index, word, uint64(value) & word}
}

// when is one condition.
func when(text string, args ...Arg) Condition { return Condition{text, args} }

// either is a condition for each of the values that an int may have.
func either(index int, values ...value) []Condition {
	var all []Condition
	for _, v := range values {
		all = append(all, when(v.name, is(index, v.n)))
	}
	return all
}

// value is a constant and its name.
type value struct {
	name string
	n    int
}

// on tells whether the rule is one of arch's.
func (r *Rule) on(arch string) bool {
	if r.Only == nil {
		return true
	}
	for _, a := range r.Only {
		if a == arch {
			return true
		}
	}
	return false
}

// String is the rule as the documentation has it.
func (r *Rule) String() string {
	texts := make([]string, len(r.When))
	for i, c := range r.When {
		texts[i] = c.Text
	}
	return fmt.Sprintf("%s(%s)", r.Call, strings.Join(texts, " | "))
}
