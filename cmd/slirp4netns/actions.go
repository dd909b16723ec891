package main

import (
	"fmt"
	"io"
	"io/fs"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/slirp4netns-go/slirp4netns/seccomp"
)

// Limits of --mtu in bytes. 65521 is the largest MTU of a TAP: 65535 less
// the Ethernet header. What is too small is refused by the kernel.
const (
	defaultMTU = 1500
	maxMTU     = 65521
)

// actions are the options that are checked, or print something, at their
// place on the command line and not at its end. go-flags calls them in order.
type actions struct {
	ExitFD         func(string) error `long:"exit-fd" unquote:"false"`
	ReadyFD        func(string) error `long:"ready-fd" unquote:"false"`
	MTU            func(string) error `long:"mtu" unquote:"false"`
	UsernsPath     func(string) error `long:"userns-path" unquote:"false"`
	OutboundAddr   func(string)       `long:"outbound-addr" unquote:"false"`
	OutboundAddr6  func(string)       `long:"outbound-addr6" unquote:"false"`
	EnableIPv6     func()             `long:"enable-ipv6"`
	EnableSeccomp  func()             `long:"enable-seccomp"`
	SeccompAction  func(string) error `long:"seccomp-action" unquote:"false"`
	Publish        func(string) error `long:"publish" unquote:"false"`
	APISocketMode  func(string) error `long:"api-socket-mode" unquote:"false"`
	NoHostLoopback func()             `long:"no-host-loopback"`
	CreateSandbox  func()             `long:"create-sandbox"`
	Help           func() error       `long:"help"`
	Version        func() error       `long:"version"`

	// stop is the error that ended the reading: go-flags only returns a text
	// of its own that quotes it.
	stop error
}

// newActions binds the options to c. Their warnings go to stdout.
func newActions(c *commandLine, program string, stdout io.Writer) *actions {
	a := new(actions)
	a.ExitFD = a.fd("exit-fd", &c.ExitFD)
	a.ReadyFD = a.fd("ready-fd", &c.ReadyFD)
	a.MTU = func(s string) error {
		mtu, ok := parseInt(s)
		if !ok || mtu <= 0 || mtu > maxMTU {
			return a.fail(usageFailure("MTU must be a positive integer (< 65522)"))
		}
		c.MTU = mtu
		return nil
	}
	a.UsernsPath = func(s string) error {
		if unix.Access(s, unix.F_OK) != nil {
			return a.fail(usageFailure("userns path doesn't exist: " + s))
		}
		c.UsernsPath = &s
		return nil
	}
	a.OutboundAddr = func(s string) {
		warnExperimental(stdout, "--outbound-addr")
		c.OutboundAddr = &s
	}
	a.OutboundAddr6 = func(s string) {
		warnExperimental(stdout, "--outbound-addr6")
		c.OutboundAddr6 = &s
	}
	a.EnableIPv6 = func() {
		warnExperimental(stdout, "IPv6")
		c.EnableIPv6 = true
	}
	a.EnableSeccomp = func() {
		warnExperimental(stdout, "seccomp")
		c.EnableSeccomp = true
	}
	a.SeccompAction = func(s string) (err error) {
		if c.SeccompAction, err = seccomp.ParseAction(s); err != nil {
			return a.fail(usageFailure("--seccomp-action must be kill, errno or log"))
		}
		return nil
	}
	a.Publish = func(s string) error {
		p, err := parsePublish(s)
		if err != nil {
			return a.fail(usageFailure(fmt.Sprintf("--publish=%s: %v", s, err)))
		}
		c.Publish = append(c.Publish, p)
		return nil
	}
	a.APISocketMode = func(s string) error {
		mode, err := strconv.ParseUint(s, 8, 9)
		if err != nil {
			return a.fail(usageFailure("--api-socket-mode must be permissions in octal, such as 660"))
		}
		c.APISocketMode = fs.FileMode(mode)
		return nil
	}
	a.NoHostLoopback = func() {
		warnDeprecated(stdout, "--no-host-loopback", "--disable-host-loopback")
		c.DisableHostLoopback = true
	}
	a.CreateSandbox = func() {
		warnDeprecated(stdout, "--create-sandbox", "--enable-sandbox")
		c.EnableSandbox = true
	}
	a.Help = func() error {
		writeUsage(stdout, program)
		return a.fail(errDone)
	}
	a.Version = func() error {
		writeVersion(stdout)
		return a.fail(errDone)
	}
	return a
}

// fd is the action that sets *fd to the option's argument.
func (a *actions) fd(option string, fd *int) func(string) error {
	return func(s string) error {
		n, ok := parseInt(s)
		if !ok || n < 0 {
			return a.fail(usageFailure(option + " must be a non-negative integer"))
		}
		*fd = n
		return nil
	}
}

// fail ends the reading of the command line with err.
func (a *actions) fail(err error) error {
	a.stop = err
	return err
}

func warnExperimental(w io.Writer, what string) {
	fmt.Fprintf(w, "WARNING: Support for %s is experimental\n", what)
}

func warnDeprecated(w io.Writer, old, new string) {
	fmt.Fprintf(w, "WARNING: %s is deprecated and will be removed in future releases, please use %s instead.\n", old, new)
}
