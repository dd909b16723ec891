package sandbox

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// owner is a thread of this process for which the kernel checks permissions of
// files as for another user (setfsuid(2)). Root in the sandbox has no
// capability by which he could remove a file from another's directory; its
// owner needs none.
type owner chan func()

// become starts the thread, of uid's.
//
// Preconditions: CAP_SETUID, which the thread loses with all others later.
func become(uid uint32) (owner, error) {
	work, started := make(owner), make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: nothing else runs on it
		err := setFSUID(int(uid))
		started <- err
		if err != nil {
			return
		}
		for do := range work {
			do()
		}
	}()
	return work, <-started
}

// setFSUID changes the calling thread. The kernel does not tell whether it did:
// one asks by trying what is never allowed. As with each change of a user ID, it
// sets whether the process can be traced to fs.suid_dumpable (proc_sys_fs(5)),
// which may be 1: it cannot.
func setFSUID(uid int) error {
	if _, err := unix.SetfsuidRetUid(uid); err != nil {
		return fmt.Errorf("setfsuid: %w", err)
	}
	if is, err := unix.SetfsuidRetUid(-1); err != nil || is != uid {
		return fmt.Errorf("setfsuid to %d: it is %d, %w", uid, is, unix.EPERM)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl(PR_SET_DUMPABLE): %w", err)
	}
	return nil
}

// do runs fn on the thread, or for nil on the caller's.
func (o owner) do(fn func()) {
	if o == nil {
		fn()
		return
	}
	done := make(chan struct{})
	o <- func() { fn(); close(done) }
	<-done
}
