package parent

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/ipc"
)

// joinRefused is what the kernel says when the network namespace may not be
// joined, in the child's words.
const joinRefused = "setns(CLONE_NEWNET): Operation not permitted"

// whyRefused tells people why the network namespace of t would be refused; ""
// when the kernel has no reason that we see. It is for a second line: the first
// remains the C program's.
func (n *namespaces) whyRefused(t Target) string {
	if n.net == nil {
		return ""
	}
	if isOur("net", n.net) {
		return fmt.Sprintf("%s is in our own network namespace: it has made none of its own, or not yet (unshare --net)", t)
	}
	o, err := owner(n.net)
	if errors.Is(err, unix.EPERM) {
		return fmt.Sprintf("the network namespace of %s belongs to a user namespace outside of ours", t)
	}
	if err != nil {
		return ""
	}
	defer o.Close()
	if isOur("user", o) {
		return fmt.Sprintf("the network namespace of %s belongs to our own user namespace: to join it takes CAP_SYS_ADMIN there, which root has", t)
	}
	if uid, err := unix.IoctlGetUint32(int(o.Fd()), unix.NS_GET_OWNER_UID); err == nil && int(uid) != os.Geteuid() {
		return fmt.Sprintf("the network namespace of %s was made by the user with ID %d: only that one and root may join it", t, uid)
	}
	return ""
}

// refused adds a line to the child's words, if they are about joining and why
// tells more.
func refused(words, why string) string {
	if why == "" || !strings.HasPrefix(words, joinRefused) {
		return words
	}
	return words + "\n" + why
}

// unreadable adds a line to err, which opening a namespace of the process pid
// has brought.
func unreadable(err error, pid int) error {
	if !errors.Is(err, unix.EACCES) {
		return err
	}
	var st unix.Stat_t
	if unix.Stat(fmt.Sprintf("/proc/%d", pid), &st) == nil && int(st.Uid) != os.Geteuid() {
		return &explained{err, fmt.Sprintf("PID %d is a process of the user with ID %d", pid, st.Uid)}
	}
	return &explained{err, fmt.Sprintf("PID %d may not be looked into: it has more capabilities than we, is not dumpable,"+
		" or AppArmor (kernel.apparmor_restrict_unprivileged_userns) or SELinux forbids it", pid)}
}

// explained is an error of the C program's with a line of ours.
type explained struct {
	err error
	why string
}

func (e *explained) Error() string { return ipc.UserText(e.err) + "\n" + e.why }

func (e *explained) Unwrap() error { return e.err }
