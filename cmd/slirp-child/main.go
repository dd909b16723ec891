// The runtime keeps no cgroup files open and names no mappings: nothing that
// is not needed is open where the guest's root is.
//
//go:debug decoratemappings=0
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// slirp-child is the privileged stage of slirp4netns alone: what runs inside
// the guest's namespaces, with nothing of the network stack. slirp4netns runs
// it where it was built with its path, and else itself; nobody else does.
package main

import (
	"fmt"
	"os"

	"github.com/slirp4netns-go/slirp4netns/child"
	"github.com/slirp4netns-go/slirp4netns/ipc/door"
)

func main() {
	stage, err := door.Stage()
	if err == nil && stage != child.Stage {
		err = fmt.Errorf("this program is run by slirp4netns, not by hand")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "slirp-child:", err)
		os.Exit(1)
	}
	os.Exit(child.Main())
}
