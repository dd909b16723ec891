package main

import (
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/parent"
)

// namespaceTarget is PID TAPNAME, PATH TAPNAME or FD, after --netns-type.
func (c *commandLine) namespaceTarget(p *parent.Config, stdout io.Writer) error {
	kind := parent.TargetPID
	switch {
	case c.NetnsType == nil || *c.NetnsType == "pid":
	case *c.NetnsType == "tapfd":
		kind = parent.TargetTapFD
	default:
		// slirp4netns: whatever it does not know, it takes for "path".
		kind = parent.TargetPath
	}
	// A TAP that is passed has a name already.
	required := 2
	if kind == parent.TargetTapFD {
		required = 1
	}
	if len(c.Operands) < required {
		return errMissingOperand
	}
	if len(c.Operands) > 2 {
		warnTooMany(stdout)
	}
	target := c.Operands[0]
	p.Target.Kind = kind
	p.Target.UserNS = value(c.UsernsPath)
	if kind != parent.TargetTapFD {
		p.TapName = cut(c.Operands[1], maxTapName)
	}
	switch kind {
	case parent.TargetPID:
		pid, ok := parseInt(target)
		if !ok || pid <= 0 {
			return usageFailure("PID must be a positive integer")
		}
		p.Target.PID = pid
	case parent.TargetTapFD:
		fd, ok := parseInt(target)
		if !ok || fd < 0 {
			return usageFailure("TAPFD must a file descriptor")
		}
		p.Target.FD = fd
	case parent.TargetPath:
		if err := unix.Access(target, unix.F_OK); err != nil {
			return usageFailure("existing path expected when --netns-type=path: " + strerror(err))
		}
		p.Target.Path = target
	}
	return nil
}

// bessTarget is the path of a socket for User Mode Linux, which configures
// its own network: the options that reach into a namespace are refused.
func (c *commandLine) bessTarget(p *parent.Config, stdout io.Writer) error {
	switch {
	case len(c.Operands) < 1:
		return errMissingOperand
	case len(c.Operands) > 1:
		return usageFailure("too many arguments")
	}
	for _, conflict := range []struct {
		given  bool
		option string
	}{
		{c.Configure, "--configure"},
		{c.NetnsType != nil, "--netns-type"},
		{c.UsernsPath != nil, "--userns-path"},
	} {
		if conflict.given {
			return usageFailure(conflict.option + " conflicts with --target-type=bess")
		}
	}
	fmt.Fprintln(stdout, "WARNING: BESS mode is experimental")
	p.Target.Kind = parent.TargetBESS
	p.Target.Path = c.Operands[0]
	return nil
}

// cut is s or its first n bytes.
func cut(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// strerror is err in the words of strerror(3): Go's begin with a small
// letter.
func strerror(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}
