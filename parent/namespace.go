package parent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// namespaces are those of the guest that the child is to join.
type namespaces struct {
	user *os.File // nil: stay in ours
	net  *os.File
}

func (n *namespaces) close() {
	n.user.Close()
	n.net.Close()
}

// openNamespaces opens what t names. For targets that are no namespace it
// returns none.
//
// Whether they can be joined shows only when the child tries. A user namespace
// that nobody named and that cannot be opened is left out: in the namespace of a
// process of ours it is not needed, and where it is, joining the network
// namespace fails, and says so.
func openNamespaces(t Target) (n namespaces, err error) {
	user := t.UserNS
	switch t.Kind {
	case TargetPID:
		if user == "" {
			user = fmt.Sprintf("/proc/%d/ns/user", t.PID)
		}
		n.net, err = openFile(fmt.Sprintf("/proc/%d/ns/net", t.PID))
		if err != nil {
			err = unreadable(err, t.PID)
		}
	case TargetPath:
		n.net, err = openFile(t.Path)
	default:
		return n, nil
	}
	if err != nil {
		return n, err
	}
	if user != "" {
		n.user, err = openFile(user)
	}
	if err != nil && t.UserNS != "" {
		n.net.Close()
		return n, err
	}
	n.preferOwner()
	if n.user != nil && isOur("user", n.user) {
		n.user.Close()
		n.user = nil
	}
	return n, nil
}

// preferOwner takes the user namespace that the network namespace belongs to in
// place of one that has no power over it, in which joining could only fail.
// bubblewrap leaves its programs in such a one, below that of the network.
func (n *namespaces) preferOwner() {
	o, err := owner(n.net)
	if err != nil {
		return // it is above ours
	}
	if n.user != nil && governs(n.user, o) {
		o.Close()
		return
	}
	n.user.Close()
	n.user = o
}

// governs tells whether user is the user namespace ns or one that ns is below.
func governs(user, ns *os.File) bool {
	if sameFile(user, ns) {
		return true
	}
	fd, err := unix.IoctlRetInt(int(ns.Fd()), unix.NS_GET_PARENT)
	if err != nil {
		return false // the next one is above ours
	}
	above := os.NewFile(uintptr(fd), "user namespace above "+ns.Name())
	defer above.Close()
	return governs(user, above)
}

// owner opens the user namespace that a namespace belongs to: ioctl_ns(2).
func owner(ns *os.File) (*os.File, error) {
	fd, err := unix.IoctlRetInt(int(ns.Fd()), unix.NS_GET_USERNS)
	if err != nil {
		return nil, fmt.Errorf("ioctl(NS_GET_USERNS) on %s: %w", ns.Name(), err)
	}
	return os.NewFile(uintptr(fd), "owner of "+ns.Name()), nil
}

// isOur tells whether ns is the namespace of its kind that we are in. A user
// namespace that we are in cannot be joined once more.
func isOur(kind string, ns *os.File) bool {
	ours, err := os.Open("/proc/self/ns/" + kind)
	if err != nil {
		return false
	}
	defer ours.Close()
	return sameFile(ours, ns)
}

func sameFile(a, b *os.File) bool {
	ai, err := a.Stat()
	if err != nil {
		return false
	}
	bi, err := b.Stat()
	return err == nil && os.SameFile(ai, bi)
}

// openFile is os.Open with the C program's error: path, colon, strerror(3).
func openFile(path string) (*os.File, error) {
	f, err := os.Open(path)
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return nil, fmt.Errorf("%s: %w", path, pe.Err)
	}
	return f, err
}
