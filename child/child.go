package child

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/ipc"
	"github.com/slirp4netns-go/slirp4netns/ipc/door"
)

// Stage is the name under which the parent starts the child (door.Stage).
const Stage = ipc.ChildStage

// The main thread stays in the guest's network namespace while another goes
// to a throw-away one (move.go): the main goroutine keeps it.
func init() { runtime.LockOSThread() }

// Main is the child, from start to end. It returns the exit status.
func Main() int {
	sockets, err := ipc.ChildSockets()
	if err == nil {
		err = ipc.Serve(sockets, makeTap)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, ipc.UserText(err))
		return 1
	}
	return 0
}

// makeTap is the whole service: an ipc.Maker.
func makeTap(req *ipc.TapRequest) (int, *ipc.TapReply, error) {
	if err := inside(); err != nil {
		return -1, nil, errors.New(ipc.UserText(err))
	}
	fd, reply, err := tap(req)
	if err != nil {
		return -1, nil, errors.New(ipc.UserText(err))
	}
	// slirp4netns: the C program's words, which scripts may wait for.
	fmt.Fprintf(os.Stderr, "sent tapfd=%d for %s\n", fd, reply.Name)
	return fd, reply, nil
}

// inside checks that the door led where it should.
//
// slirp4netns: that the user namespace could not be joined is no error as long
// as the network namespace was: the two may belong to one another already.
func inside() error {
	for _, act := range []door.Act{door.Undumpable, door.StillUndumpable} {
		if err := door.Result(act); door.Asked(act) && err != nil {
			return err
		}
	}
	return door.Result(door.JoinNetNS)
}

// tap makes, and configures if asked, what req wants.
func tap(req *ipc.TapRequest) (fd int, reply *ipc.TapReply, err error) {
	fd, reply, err = open(req)
	if err != nil {
		return -1, nil, err
	}
	if req.Configuration != nil {
		reply.Configuration, err = configure(reply.Name, req.Configuration)
		if err != nil {
			unix.Close(fd)
			return -1, nil, err
		}
	}
	return fd, reply, nil
}
