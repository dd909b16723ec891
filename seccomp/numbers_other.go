//go:build !amd64 && !arm64 && !riscv64 && !ppc64le && !s390x && !arm

package seccomp

// Supported tells whether there are rules for the architecture that this was
// built for.
const Supported = false

// There are no rules here, and Assemble is not called.
const (
	arch      = ""
	auditArch = 0
	bigEndian = false
)

var numbers map[string]uint32
