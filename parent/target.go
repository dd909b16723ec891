package parent

import "fmt"

// needsChild tells whether there is a namespace to enter.
func (t Target) needsChild() bool { return t.Kind == TargetPID || t.Kind == TargetPath }

// String names the target in messages.
func (t Target) String() string {
	switch t.Kind {
	case TargetPID:
		return fmt.Sprintf("PID %d", t.PID)
	case TargetTapFD:
		return fmt.Sprintf("tapfd %d", t.FD)
	default:
		return t.Path
	}
}
