package parent

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// deathSignal is the signal that the kernel sends us when the caller dies:
// PR_SET_PDEATHSIG, prctl(2). RootlessKit and Buildah ask for it. The kernel
// forgets it, for safety, when a process gains capabilities or changes its
// user.
type deathSignal struct {
	sig  unix.Signal // 0: none
	ppid int         // the caller
}

// readDeathSignal reads it before anything can clear it.
func readDeathSignal() deathSignal {
	d := deathSignal{ppid: unix.Getppid()}
	if sig, err := getDeathSignal(); err == nil {
		d.sig = sig
	}
	return d
}

// restore sets it again where it was cleared. The caller may have died while
// it was; then we do what the signal would have done.
func (d deathSignal) restore() error {
	if d.sig == 0 {
		return nil
	}
	if now, err := getDeathSignal(); err == nil && now == d.sig {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(d.sig), 0, 0, 0); err != nil {
		return fmt.Errorf("prctl(PR_SET_PDEATHSIG): %w", err)
	}
	if unix.Getppid() != d.ppid {
		return unix.Kill(unix.Getpid(), d.sig)
	}
	return nil
}

// getDeathSignal asks for that of the calling thread, which must be the main
// one.
func getDeathSignal() (unix.Signal, error) {
	var sig int32
	if err := unix.Prctl(unix.PR_GET_PDEATHSIG, uintptr(unsafe.Pointer(&sig)), 0, 0, 0); err != nil {
		return 0, fmt.Errorf("prctl(PR_GET_PDEATHSIG): %w", err)
	}
	return unix.Signal(sig), nil
}
