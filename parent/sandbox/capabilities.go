package sandbox

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Needs are the capabilities that Enter and Limit work with.
func Needs() []uintptr {
	return []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SYS_CHROOT, unix.CAP_SETPCAP, unix.CAP_NET_BIND_SERVICE}
}

// Set is a set of capabilities; bit n is capability n of linux/capability.h.
type Set uint64

// NewSet is a set of these.
func NewSet(caps ...uintptr) Set {
	var s Set
	for _, c := range caps {
		s |= 1 << c
	}
	return s
}

// Permitted are those that the calling thread may use.
func Permitted() (Set, error) {
	hdr, data := capHeader(), [2]unix.CapUserData{}
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return 0, fmt.Errorf("capget: %w", err)
	}
	return Set(data[0].Permitted) | Set(data[1].Permitted)<<32, nil
}

// hasNone tells whether the calling thread has no capability in any set but the
// bounding one, as an ordinary user's. All threads are then like it.
func hasNone() (bool, error) {
	hdr, data := capHeader(), [2]unix.CapUserData{}
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return false, fmt.Errorf("capget: %w", err)
	}
	return data == [2]unix.CapUserData{}, nil
}

// Limit leaves no thread of the process more than those of keep which it has,
// none that a program could inherit, and no way to gain any: no_new_privs
// (prctl(2)), under which root gains none from exec either.
func Limit(keep Set) error {
	has, err := Permitted()
	if err != nil {
		return err
	}
	if err := onAllThreads("prctl(PR_SET_NO_NEW_PRIVS)", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return err
	}
	if none, err := hasNone(); none || err != nil {
		return err
	}
	// Kernels before 4.3 have none.
	err = onAllThreads("prctl(PR_CAP_AMBIENT_CLEAR_ALL)", unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL)
	if err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return limitTo(keep & has)
}

// Try runs try with no more than the capabilities in effective in force, for
// the calling thread alone: what would be refused without the others?
func Try(effective Set, try func()) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	hdr, was := capHeader(), [2]unix.CapUserData{}
	if err := unix.Capget(&hdr, &was[0]); err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	now := was
	now[0].Effective &= uint32(effective)
	now[1].Effective &= uint32(effective >> 32)
	if err := unix.Capset(&hdr, &now[0]); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	try()
	if err := unix.Capset(&hdr, &was[0]); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	return nil
}

// LimitBounding takes all but keep from the bounding set, on every thread, and
// comes before Limit. It is quick where the door has done so already: all
// threads are stopped for each capability.
func LimitBounding(keep Set) error {
	for c := uintptr(0); ; c++ {
		set, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) {
			return nil // there are no more
		}
		if err != nil {
			return fmt.Errorf("prctl(PR_CAPBSET_READ, %d): %w", c, err)
		}
		if set == 0 || keep&NewSet(c) != 0 {
			continue
		}
		if err := onAllThreads("prctl(PR_CAPBSET_DROP)", unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c); err != nil {
			return forWantOf(err, unix.CAP_SETPCAP, "CAP_SETPCAP")
		}
	}
}

// limitTo sets the permitted and the effective set of all threads, and empties
// the inheritable one.
func limitTo(s Set) error {
	hdr, data := capHeader(), capData(s)
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET,
		uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&data[0])), 0)
	if errno != 0 {
		return fmt.Errorf("capset: %w", errno)
	}
	return nil
}

func capHeader() unix.CapUserHeader {
	return unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
}

func capData(s Set) [2]unix.CapUserData {
	low, high := uint32(s), uint32(s>>32)
	return [2]unix.CapUserData{{Effective: low, Permitted: low}, {Effective: high, Permitted: high}}
}

func onAllThreads(name string, nr, a, b uintptr) error {
	if _, _, errno := syscall.AllThreadsSyscall6(nr, a, b, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("%s: %w", name, errno)
	}
	return nil
}
