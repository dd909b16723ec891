package main

import "errors"

// failure is a command line that cannot be run: exit status 1.
type failure struct {
	message string // for stderr, byte for byte
	usage   bool   // the usage text follows, on stdout
}

// Error is the message.
func (f *failure) Error() string { return f.message }

// usageFailure is a line on stderr with the usage text on stdout.
func usageFailure(line string) error { return &failure{message: line + "\n", usage: true} }

// plainFailure is a message on stderr alone. It brings its own line ends.
func plainFailure(message string) error { return &failure{message: message} }

// errMissingOperand is a command line without its target or TAPNAME, which
// the C program answers with the usage text and no other word.
var errMissingOperand error = &failure{usage: true}

// errDone is not a failure: help or version was printed, the rest of the
// command line does not matter, exit status 0.
var errDone = errors.New("done")
