// Victim puts the filter in force and then does what its arguments say:
//
//	victim ACTION call NAME    one call of package dangerous
//	victim ACTION thread NAME  the same, on a thread that was there before
//	victim ACTION work [STEP]  what a data plane and the runtime do, but STEP
//	victim ACTION int80        a call of the i386 ABI (amd64)
//
// ACTION is one of seccomp.ParseAction, or none: there is no filter then. It
// prints the call's result, "ok" or an error's name.
//
// GODEBUG is set as in cmd/slirp4netns.
//
//go:debug decoratemappings=0
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

package main

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/seccomp"
	"github.com/slirp4netns-go/slirp4netns/seccomp/internal/dangerous"
)

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "victim:", err)
		os.Exit(1)
	}
}

func run(action, what string, args []string) error {
	deny, err := seccomp.ParseAction(action)
	if err != nil && action != "none" {
		return err
	}
	do, before := func() error { return nil }, func() {}
	switch what {
	case "call":
		c, err := find(args[0])
		if err != nil {
			return err
		}
		do = func() error { return attempt(c) }
	case "thread":
		c, err := find(args[0])
		if err != nil {
			return err
		}
		do, before = onOldThread(c)
	case "work":
		w := newWork()
		do = func() error { return w.do(args) }
	case "int80":
		do = func() error { fmt.Println(int80(20)); return nil } // getpid
	default:
		return fmt.Errorf("%q", what)
	}
	before()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if action == "none" {
		return do()
	}
	rules := seccomp.Rules(seccomp.Options{PID: os.Getpid(), Directories: []int{dangerous.Directory}})
	if err := seccomp.Install(rules, deny); err != nil {
		return err
	}
	return do()
}

func find(name string) (dangerous.Call, error) {
	for _, c := range dangerous.All() {
		if c.Name == name {
			return c, nil
		}
	}
	return dangerous.Call{}, fmt.Errorf("no call %q", name)
}

// attempt makes the call and prints what came of it.
func attempt(c dangerous.Call) error {
	a := c.Args
	_, _, errno := unix.RawSyscall6(c.Nr, a[0], a[1], a[2], a[3], a[4], a[5])
	name := "ok"
	if errno != 0 {
		name = unix.ErrnoName(errno)
	}
	fmt.Println(name)
	return nil
}

// onOldThread makes the call on a thread that exists before the filter does.
func onOldThread(c dangerous.Call) (do func() error, before func()) {
	start, done, up := make(chan struct{}), make(chan error), make(chan int)
	go func() {
		runtime.LockOSThread()
		up <- unix.Gettid()
		<-start
		done <- attempt(c)
	}()
	return func() error { close(start); return <-done },
		func() {
			if <-up == unix.Gettid() {
				panic("the same thread")
			}
		}
}
