package lab

import (
	"fmt"
	"os"
	"slices"
)

// Program is a [T] for programs that are not tests. A failure ends the
// program with status 1, after its cleanups.
type Program struct {
	name     string
	failed   bool
	cleanups []func()
}

// NewProgram is a T whose messages begin with name.
func NewProgram(name string) *Program { return &Program{name: name} }

// Helper does nothing.
func (p *Program) Helper() {}

// Name is the program's name.
func (p *Program) Name() string { return p.name }

// Cleanup registers what Close will do, last first.
func (p *Program) Cleanup(fn func()) { p.cleanups = append(p.cleanups, fn) }

// Failed tells whether there was an error.
func (p *Program) Failed() bool { return p.failed }

// Logf writes a line to stderr.
func (p *Program) Logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, p.name+": "+format+"\n", args...)
}

// Errorf writes a line and remembers the failure.
func (p *Program) Errorf(format string, args ...any) {
	p.failed = true
	p.Logf(format, args...)
}

// Fatalf writes a line and ends the program.
func (p *Program) Fatalf(format string, args ...any) {
	p.Errorf(format, args...)
	p.Close()
	os.Exit(1)
}

// Close runs the cleanups that were registered since the last Close.
func (p *Program) Close() {
	for len(p.cleanups) > 0 {
		last := len(p.cleanups) - 1
		fn := p.cleanups[last]
		p.cleanups = slices.Delete(p.cleanups, last, last+1)
		fn()
	}
}
