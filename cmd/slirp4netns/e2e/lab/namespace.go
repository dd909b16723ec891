package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

const inetPath = netnsDir + "/inet"

// Inet is the namespace of the lab's internet servers.
var Inet = &Namespace{path: inetPath}

// Namespace is a network namespace, named by a file.
type Namespace struct {
	path string
}

// The main goroutine keeps the main thread to itself: /proc/PID/ns, /proc/net
// and /proc/self/net are those of the main thread, which no other goroutine
// then takes into another namespace, or for good (newNamespace).
func init() { runtime.LockOSThread() }

// NamespaceOf is the network namespace of a process.
func NamespaceOf(pid int) *Namespace {
	return &Namespace{path: fmt.Sprintf("/proc/%d/ns/net", pid)}
}

// Path is the namespace's file, for --netns-type=path.
func (n *Namespace) Path() string { return n.path }

// Do runs fn inside the namespace and returns its error. Sockets that fn
// makes stay in the namespace.
//
// Only the calling goroutine is inside: goroutines that fn starts are not,
// nor what the net package does in one of its own (resolving names, dialling
// two families at once). A literal address is dialled in the calling one.
func (n *Namespace) Do(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		back, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
		if err != nil {
			done <- err
			return
		}
		defer back.Close()
		if err := enter(n.path); err != nil {
			done <- err
			return
		}
		// Should fn call t.FailNow, the caller still gets an answer.
		ret := fmt.Errorf("%s: the function did not return", n.path)
		defer func() {
			// A thread that cannot go back ends with its goroutine.
			if unix.Setns(int(back.Fd()), unix.CLONE_NEWNET) == nil {
				runtime.UnlockOSThread()
			}
			done <- ret
		}()
		ret = fn()
	}()
	return <-done
}

// enter moves the calling thread into the network namespace at path.
func enter(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("setns %s: %w", path, err)
	}
	return nil
}

// sysctl sets a kernel parameter of the calling thread's network namespace.
func sysctl(name, value string) error {
	path := filepath.Join("/proc/sys", strings.ReplaceAll(name, ".", "/"))
	if err := os.WriteFile(path, []byte(value), 0); err != nil {
		return fmt.Errorf("sysctl %s=%q: %w", name, value, err)
	}
	return nil
}
