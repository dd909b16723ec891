package door

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// EntryFlag is what the program must be linked with.
const EntryFlag = "-E _slirp4netns_door"

// ErrNotLinked is the answer of a program whose entry point is not the door.
var ErrNotLinked = errors.New("built without its ELF entry point: build with `make`, or with CGO_ENABLED=0 go build -ldflags '" + EntryFlag + "'")

// Linked tells whether this process came in through the door. All but its own
// tests and race-detector builds do.
func Linked() bool { return linked == 1 }

// stage is what the marker of this process said.
var stage struct {
	name  string
	acts  string
	error error
}

// The marker goes before anything else can see it or pass it on.
func init() {
	name := string(marker[:len(marker)-1])
	value, found := syscall.Getenv(name)
	if !found {
		return
	}
	os.Unsetenv(name)
	stage.acts, stage.name, stage.error = parse(value)
	if stage.error != nil {
		return
	}
	// What has been joined is held by the process itself from now on.
	if Asked(JoinUserNS) {
		unix.Close(userNSFD)
	}
	if Asked(JoinNetNS) {
		unix.Close(netNSFD)
	}
}

// parse takes the value of the marker apart.
func parse(value string) (letters, name string, err error) {
	letters, name, ok := strings.Cut(value, ":")
	if n := len(letters); !ok || n != int(LimitBounding) && n != actCount || name == "" {
		return "", "", fmt.Errorf("door: malformed marker %q", value)
	}
	for i := range letters {
		if c := uintptr(letters[i]); c != '-' && c != acts[i].letter {
			return "", "", fmt.Errorf("door: malformed marker %q", value)
		}
	}
	return letters, name, nil
}

// Stage is the name of the stage that this process was started for with
// [Spawn] or [Exec]; empty in a process that a user started. An error means
// that the marker was there and that the process must not go on.
func Stage() (string, error) {
	if stage.error != nil {
		return "", stage.error
	}
	if stage.name != "" && !Linked() {
		return "", ErrNotLinked
	}
	return stage.name, nil
}

// Asked tells whether the marker named act a.
func Asked(a Act) bool { return int(a) < len(stage.acts) && stage.acts[a] != '-' }

// Result is how act a went: nil if it was done, else the kernel's errno
// wrapped in the name of the system call. An act that was asked for and not
// run is an error as well; so is one that was not asked for.
func Result(a Act) error {
	switch r := acts[a].result; {
	case r == 0:
		return nil
	case r == notRun:
		return fmt.Errorf("%s: the door did not run it", a)
	default:
		return fmt.Errorf("%s: %w", a, unix.Errno(-r))
	}
}

// String is the system call, as error messages name it.
func (a Act) String() string {
	switch a {
	case Undumpable:
		return "prctl(PR_SET_DUMPABLE)"
	case StillUndumpable:
		return "prctl(PR_SET_DUMPABLE) inside the user namespace"
	case OwnUserNS:
		return "unshare(CLONE_NEWUSER)"
	case JoinUserNS:
		return "setns(CLONE_NEWUSER)"
	case JoinNetNS:
		return "setns(CLONE_NEWNET)"
	case OwnMountNS:
		return "unshare(CLONE_NEWNS)"
	}
	if a >= LimitBounding && a < actCount {
		return "prctl(PR_CAPBSET_DROP)"
	}
	return fmt.Sprintf("act %d", int(a))
}
