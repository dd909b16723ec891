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
	"errors"
	"io"
	"os"

	"github.com/slirp4netns-go/slirp4netns/parent"
)

func main() {
	cfg, status := readCommandLine(os.Args, os.Stdout, os.Stderr)
	if cfg == nil {
		os.Exit(status)
	}
	os.Exit(parent.Run(cfg))
}

// readCommandLine returns what the command line asks for, or nil and the exit
// status when there is nothing to run.
func readCommandLine(args []string, stdout, stderr io.Writer) (*parent.Config, int) {
	c, err := parse(args, stdout)
	if err == nil {
		var cfg *parent.Config
		if cfg, err = c.config(stdout); err == nil {
			c.warnNotYet(stderr)
			return cfg, 0
		}
	}
	var f *failure
	switch {
	case errors.Is(err, errDone):
		return nil, 0
	case errors.As(err, &f) && f.usage:
		io.WriteString(stderr, f.message)
		writeUsage(stdout, args[0])
	default:
		io.WriteString(stderr, err.Error())
	}
	return nil, 1
}
