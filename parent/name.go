package parent

import (
	"bytes"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// processName is the name of the calling thread, which must be the main one:
// what pgrep(1) finds.
func processName() (string, error) {
	var b [16]byte // TASK_COMM_LEN
	if err := unix.Prctl(unix.PR_GET_NAME, uintptr(unsafe.Pointer(&b)), 0, 0, 0); err != nil {
		return "", fmt.Errorf("prctl(PR_GET_NAME): %w", err)
	}
	name, _, _ := bytes.Cut(b[:], []byte{0})
	return string(name), nil
}

// setProcessName sets it again after exec, which may have been of a path with
// another name, such as /proc/self/exe.
func setProcessName(name string) error {
	b, err := unix.BytePtrFromString(name)
	if err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(b)), 0, 0, 0); err != nil {
		return fmt.Errorf("prctl(PR_SET_NAME): %w", err)
	}
	return nil
}
