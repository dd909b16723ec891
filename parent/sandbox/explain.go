package sandbox

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// stepError is a step that the kernel refused. Its text names the step, the
// reason, and what to do.
type stepError struct {
	step string
	err  error
}

func (e *stepError) Unwrap() error { return e.err }

func (e *stepError) Error() string {
	return fmt.Sprintf("--enable-sandbox: %s: %v%s", e.step, e.err, remedy(e.err))
}

// failed is nil for a step that went well.
func failed(err error, step string, args ...any) error {
	if err == nil {
		return nil
	}
	return &stepError{fmt.Sprintf(step, args...), err}
}

// lackError is a step for which the process has not the capability.
type lackError struct {
	err  error
	name string
}

func (e *lackError) Unwrap() error { return e.err }

func (e *lackError) Error() string { return e.err.Error() }

// rootError is the kernel's refusal to change the root directory's mount, since
// that directory is not where a mount begins.
type rootError struct{ err error }

func (e *rootError) Unwrap() error { return e.err }

func (e *rootError) Error() string { return e.err.Error() }

// forWantOf makes a lackError of a refusal, if the capability c is missing,
// which is called name.
func forWantOf(err error, c uintptr, name string) error {
	has, why := Permitted()
	if !errors.Is(err, unix.EPERM) || why != nil || has&NewSet(c) != 0 {
		return err
	}
	return &lackError{err, name}
}

// Explain adds to err, which names its step, what to do about it.
func Explain(err error) error {
	return fmt.Errorf("--enable-sandbox: %w%s", err, remedy(err))
}

// remedy is what usually helps against an error.
func remedy(err error) string {
	const without = "start without --enable-sandbox"
	var lack *lackError
	var root *rootError
	switch {
	case errors.As(err, &root):
		return ": the root directory is no mount point, as in a chroot: bind-mount it on itself before the chroot, or " + without
	case errors.As(err, &lack):
		return fmt.Sprintf(": it takes %s, which whoever started this program has kept from it"+
			" (in a container: --cap-add=%s); give it that, or %s", lack.name, strings.TrimPrefix(lack.name, "CAP_"), without)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return ": a container's seccomp profile, AppArmor (kernel.apparmor_restrict_unprivileged_userns) or" +
			" SELinux forbids it; allow this program user namespaces, mount and pivot_root there, or " + without
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EUSERS):
		return ": too many namespaces; raise user.max_user_namespaces and user.max_mnt_namespaces (sysctl), or " + without
	case errors.Is(err, unix.ENOSYS):
		return ": this kernel was built without it; " + without
	case errors.Is(err, unix.EOVERFLOW):
		return ": the target's user namespace has no IDs for our user and group (uid_map, gid_map), so that no file can be made there;" +
			" map them (unshare --map-current-user, newuidmap), name a process of it (PID, or --userns-path=/proc/PID/ns/user), or " + without
	case errors.Is(err, unix.ENOMEM):
		return ": too many mounts (fs.mount-max, sysctl) or too little memory"
	}
	return ""
}
