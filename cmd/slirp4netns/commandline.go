package main

import (
	"errors"
	"io"

	"github.com/slirp4netns-go/slirp4netns/parent"
)

// readCommandLine returns what the command line asks for, or nil and the exit
// status when there is nothing to run.
func readCommandLine(args []string, stdout, stderr io.Writer) (*parent.Config, int) {
	c, err := parse(args, stdout)
	if err == nil {
		var cfg *parent.Config
		if cfg, err = c.config(stdout); err == nil {
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
