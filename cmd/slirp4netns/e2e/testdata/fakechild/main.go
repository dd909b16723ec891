// fakechild stands in for slirp-child and misbehaves. The file "mode" beside
// it says how; it gets neither arguments nor an environment.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/slirp4netns-go/slirp4netns/child"
	"github.com/slirp4netns-go/slirp4netns/ipc"
	"github.com/slirp4netns-go/slirp4netns/ipc/tun"
)

func main() {
	exe, err := os.Executable()
	check(err)
	dir := filepath.Dir(exe)
	mode, err := os.ReadFile(filepath.Join(dir, "mode"))
	check(err)
	switch string(mode) {
	case "killed":
		unix.Kill(unix.Getpid(), unix.SIGKILL)
	case "status":
		os.Exit(3)
	case "hang":
		time.Sleep(time.Hour)
	case "garbage":
		s, err := ipc.ChildSockets()
		check(err)
		s.RPC.WriteString(strings.Repeat("garbage ", 4096))
		time.Sleep(time.Hour)
	case "honest":
		os.Exit(child.Main())
	case "files":
		// What the parent lets us inherit, before anything is closed.
		fmt.Fprintln(os.Stderr, "FILES", inherited())
		os.Exit(child.Main())
	default:
		s, err := ipc.ChildSockets()
		check(err)
		check(ipc.Serve(s, func(req *ipc.TapRequest) (int, *ipc.TapReply, error) { return lie(string(mode), s, req) }))
	}
}

// lie answers with something that is not a new TAP of that name.
func lie(mode string, s ipc.Sockets, req *ipc.TapRequest) (int, *ipc.TapReply, error) {
	reply := &ipc.TapReply{Name: req.Name, Made: true, VnetHeaderLength: tun.VnetHdrLen, Offloads: req.Offloads}
	if mode == "refuse" {
		return -1, nil, errors.New("the child's own words")
	}
	if mode == "not a TAP" {
		fd, err := unix.Open("/dev/null", unix.O_RDWR, 0)
		return fd, reply, err
	}
	fd, f, err := tun.Open("lie%d", req.Offloads)
	check(err)
	switch mode {
	case "other interface":
		// The reply says tap0.
	case "two TAPs":
		reply.Name = f.Name
		check(ipc.SendFD(s.FD, fd))
		// Serve sends it once more, and the name is a lie as well.
	case "unknown field":
		reply.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1))
	}
	return fd, reply, nil
}

// inherited lists the descriptors without close-on-exec.
func inherited() []int {
	var fds []int
	for fd := range 256 {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			fds = append(fds, fd)
		}
	}
	return fds
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "fakechild:", err)
		os.Exit(1)
	}
}
