package lab

import (
	"os"
	"syscall"
)

// WriteExecutable writes a program, which can be run at once. With
// os.WriteFile, a process that another goroutine forks meanwhile may still hold
// the file open for writing, and the start ends with ETXTBSY
// (https://go.dev/issue/22315).
func WriteExecutable(path, content string) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, []byte(content), 0o755)
}
