package seccomp

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestVictimInt80 makes a call of i386 by INT 0x80. Where the kernel has no
// such calls the instruction is a fault.
func TestVictimInt80(t *testing.T) {
	out, ws := victim(t, "kill", "int80")
	if ws.Signaled() && ws.Signal() == unix.SIGSYS {
		return
	}
	t.Errorf("%q, wait status %#x, want SIGSYS", out, ws)
}
