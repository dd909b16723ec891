package door

import (
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Request is what the door does before the runtime of the next stage starts.
type Request struct {
	// Stage is what [Stage] returns there.
	Stage string
	// UserNS and NetNS are namespace files to join; nil: stay.
	UserNS, NetNS *os.File
	// OwnUserNS makes a user namespace in which nobody is mapped yet: see
	// [MapOwnUser], which such a stage must call first. It excludes UserNS.
	OwnUserNS bool
	// OwnMountNS makes a mount namespace that belongs to the user namespace.
	OwnMountNS bool
	// LimitBounding takes all capabilities but CAP_NET_BIND_SERVICE from the
	// bounding set, of which the next stage makes sure (sandbox.Limit): it is
	// no error when it cannot be done.
	LimitBounding bool
}

// variable is the environment variable that carries r.
func (r *Request) variable() (string, error) {
	if r.Stage == "" {
		return "", fmt.Errorf("door: request without a stage")
	}
	if r.OwnUserNS && r.UserNS != nil {
		return "", fmt.Errorf("door: request both for an own user namespace and for another's")
	}
	wanted := []bool{
		// A process that is not dumpable cannot write its own uid_map.
		Undumpable:      !r.OwnUserNS,
		OwnUserNS:       r.OwnUserNS,
		JoinUserNS:      r.UserNS != nil,
		StillUndumpable: r.UserNS != nil,
		JoinNetNS:       r.NetNS != nil,
		OwnMountNS:      r.OwnMountNS,
	}
	if r.LimitBounding {
		wanted = append(wanted, slices.Repeat([]bool{true}, actCount-int(LimitBounding))...)
	}
	letters := make([]byte, len(wanted))
	for i, wanted := range wanted {
		letters[i] = '-'
		if wanted {
			letters[i] = byte(acts[i].letter)
		}
	}
	return string(marker[:]) + string(letters) + ":" + r.Stage, nil
}

// Avoid returns fd, or, where its number is one that the door needs, a
// close-on-exec duplicate in its place. Whoever keeps inherited descriptors
// over [Exec] passes each through Avoid first.
func Avoid(fd int) (int, error) {
	if fd != userNSFD && fd != netNSFD {
		return fd, nil
	}
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, max(userNSFD, netNSFD)+1)
	if err != nil {
		return -1, fmt.Errorf("door: fcntl(F_DUPFD_CLOEXEC) on fd %d: %w", fd, err)
	}
	unix.Close(fd)
	return dup, nil
}
