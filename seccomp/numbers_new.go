//go:build arm64 || riscv64

package seccomp

var oldNumbers map[string]uint32
