// GODEBUG settings of this program.
//
// The runtime may not call prctl, which the seccomp filter answers by killing
// the process; it would, to name its memory mappings. And it may not read
// cgroup files to follow the CPU limit: it would keep files of the host open
// for as long as the sandboxed process lives.
//
//go:debug decoratemappings=0
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/slirp4netns-go/slirp4netns/child"
	"github.com/slirp4netns-go/slirp4netns/ipc/door"
	"github.com/slirp4netns-go/slirp4netns/parent"
)

func main() {
	// The parent starts this program again for the child's stage.
	stage, err := door.Stage()
	if err == nil && stage == child.Stage {
		os.Exit(child.Main())
	}
	// The sandboxed parent is this program, too.
	if err == nil && parent.Resumes(stage) {
		os.Exit(parent.Resume(stage))
	}
	if err == nil && stage != "" {
		err = fmt.Errorf("unknown stage %q", stage)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "slirp4netns:", err)
		os.Exit(1)
	}
	if len(os.Args) > 1 && os.Args[1] == "ctl" {
		os.Exit(ctl(os.Args[2:], os.Stdout, os.Stderr))
	}
	var said bytes.Buffer
	cfg, status := readCommandLine(os.Args, &said, os.Stderr)
	if cfg == nil || !cfg.ReadyOnStdout() {
		os.Stdout.Write(said.Bytes())
	}
	if cfg == nil {
		os.Exit(status)
	}
	os.Exit(parent.Run(cfg))
}
