package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/jessevdk/go-flags"

	"github.com/slirp4netns-go/slirp4netns/parent"
	"github.com/slirp4netns-go/slirp4netns/seccomp"
)

// commandLine is what the options say, before they are looked at together.
// A nil pointer is an option that was not given; "" is an empty argument. Of
// an option that is given twice the last one counts, except where all do.
//
// The fields without a tag are set by actions.
type commandLine struct {
	Configure           bool    `long:"configure"`
	CIDR                *string `long:"cidr" unquote:"false"`
	DisableHostLoopback bool    `long:"disable-host-loopback"`
	DisableDNS          bool    `long:"disable-dns"`
	NetnsType           *string `long:"netns-type" unquote:"false"`
	TargetType          *string `long:"target-type" unquote:"false"`
	APISocket           *string `long:"api-socket" unquote:"false"`
	EnableSandbox       bool    `long:"enable-sandbox"`
	MACAddress          *string `long:"macaddress" unquote:"false"`

	CIDR6       *string  `long:"cidr6" unquote:"false"`
	DNS         []string `long:"dns" unquote:"false"`
	DNSLoopback *string  `long:"dns-loopback" unquote:"false"`
	HostName    []string `long:"host-name" unquote:"false"`

	ExitFD        int // -1: not given
	ReadyFD       int // -1: not given
	MTU           int // bytes
	UsernsPath    *string
	EnableIPv6    bool
	EnableSeccomp bool
	SeccompAction seccomp.Action
	OutboundAddr  *string
	OutboundAddr6 *string
	Publish       []parent.Publish
	APISocketMode fs.FileMode

	Operands []string
}

// defaultSocketMode are the permissions of the control socket: the owner's.
const defaultSocketMode fs.FileMode = 0o600

// parse reads a command line; args[0] is the program's name. It prints to
// stdout what the C program prints while it reads options. Its error is a
// *failure or errDone.
func parse(args []string, stdout io.Writer) (*commandLine, error) {
	_, posix := os.LookupEnv("POSIXLY_CORRECT")
	options, operands, complaint := normalise(args[0], args[1:], posix)

	c := &commandLine{ExitFD: -1, ReadyFD: -1, MTU: defaultMTU, SeccompAction: seccomp.Kill, APISocketMode: defaultSocketMode}
	a := newActions(c, args[0], stdout)
	// This variable would have go-flags print completions and exit.
	os.Unsetenv("GO_FLAGS_COMPLETION")
	parser := flags.NewNamedParser(args[0], flags.PassDoubleDash)
	for _, group := range []any{c, a} {
		if _, err := parser.AddGroup("slirp4netns", "", group); err != nil {
			return nil, plainFailure(fmt.Sprintf("go-flags: %v\n", err)) // two options of one name
		}
	}
	operands, err := parser.ParseArgs(append(append(options, "--"), operands...))
	switch {
	case a.stop != nil:
		return nil, a.stop
	case err != nil:
		// What normalise lets through go-flags takes: FuzzParse.
		return nil, plainFailure(fmt.Sprintf("go-flags: %v\n", err))
	case complaint != nil:
		return nil, complaint
	}
	c.Operands = operands
	return c, nil
}
