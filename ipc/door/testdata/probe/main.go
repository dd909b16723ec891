// probe is a program that goes through the door and tells what it finds.
//
//	probe                     report
//	probe wait                report, then live until stdin ends
//	probe exec USERNS NETNS   go through the door in place, then report
//	probe own                 likewise, with namespaces of its own
//
// A path of "-" means none. A descriptor 9, if there is one, is kept over exec.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/ipc/door"
)

// Report is what the tests read.
type Report struct {
	Linked   bool
	Stage    string
	StageErr string
	Asked    []string
	Errno    map[string]int // by act: 0, an errno, or -1 if it did not run
	PID      int
	Comm     string
	Env      []string
	FDs      []int
	NS       map[string]string
	UID      int
	Dumpable int
	Args     []string
	Pdeath   int
	Bounding uint64 // capabilities
}

func init() { runtime.LockOSThread() }

func main() {
	stage, _ := door.Stage()
	var err error
	switch {
	case stage == "" && len(os.Args) == 4 && os.Args[1] == "exec":
		err = door.Exec(door.Request{Stage: "inner", UserNS: open(os.Args[2]), NetNS: open(os.Args[3])},
			"/proc/self/exe", []string{"probe", "inner"}, []string{"A=b"}, kept())
	case stage == "" && len(os.Args) == 2 && os.Args[1] == "own":
		ids := "IDS=" + strconv.Itoa(os.Getuid()) + ":" + strconv.Itoa(os.Getgid())
		err = door.Exec(door.Request{Stage: "own", OwnUserNS: true, OwnMountNS: true, LimitBounding: true},
			"/proc/self/exe", []string{"probe", "inner"}, []string{ids}, nil)
	case stage == "own":
		var uid, gid int
		fmt.Sscanf(os.Getenv("IDS"), "%d:%d", &uid, &gid)
		err = door.MapOwnUser(uid, gid)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(report())
	if len(os.Args) == 2 && os.Args[1] == "wait" {
		io.Copy(io.Discard, os.Stdin)
	}
}

func open(path string) *os.File {
	if path == "-" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
	return f
}

func kept() []int {
	if _, err := unix.FcntlInt(9, unix.F_GETFD, 0); err != nil {
		return nil
	}
	return []int{9}
}

func report() Report {
	r := Report{
		Linked: door.Linked(), PID: os.Getpid(), Env: os.Environ(), UID: os.Getuid(), Args: os.Args,
		Errno: map[string]int{}, NS: map[string]string{},
	}
	stage, err := door.Stage()
	r.Stage = stage
	if err != nil {
		r.StageErr = err.Error()
	}
	for a := door.Undumpable; a <= door.OwnMountNS; a++ {
		if door.Asked(a) {
			r.Asked = append(r.Asked, a.String())
		}
		err := door.Result(a)
		var errno syscall.Errno
		switch {
		case err == nil:
			r.Errno[a.String()] = 0
		case errors.As(err, &errno):
			r.Errno[a.String()] = int(errno)
		default:
			r.Errno[a.String()] = -1
		}
	}
	for _, ns := range []string{"user", "net", "mnt"} {
		r.NS[ns], _ = os.Readlink("/proc/self/ns/" + ns)
	}
	comm, _ := os.ReadFile("/proc/thread-self/comm")
	r.Comm = strings.TrimSpace(string(comm))
	r.Dumpable, _ = unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	for c := range 64 {
		if has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0); err == nil && has == 1 {
			r.Bounding |= 1 << c
		}
	}
	for fd := 0; fd < 64; fd++ {
		// What is close-on-exec is the runtime's own.
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags == 0 {
			r.FDs = append(r.FDs, fd)
		}
	}
	return r
}
