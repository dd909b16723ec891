package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
)

// trial is a [lab.T] whose failure ends what attempt runs, not the program: a
// peer that cannot run must not cost the figures of all others.
type trial struct {
	failures *failures

	mu       sync.Mutex
	cleanups []func()
}

// failures are shared by a trial and its parts.
type failures struct {
	mu   sync.Mutex
	errs []error
}

// attempt runs fn and then its cleanups, and returns all that failed.
func attempt(fn func(*trial)) error {
	t := &trial{failures: &failures{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer t.Close()
		fn(t)
	}()
	<-done
	return t.failures.join()
}

func (f *failures) join() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Join(f.errs...)
}

// part is a trial with cleanups of its own, which the caller has to Close. Its
// failures are those of the whole.
func (t *trial) part() *trial { return &trial{failures: t.failures} }

// Helper does nothing.
func (t *trial) Helper() {}

// Name is the program's name.
func (t *trial) Name() string { return "bench" }

// Cleanup registers what Close will do, last first.
func (t *trial) Cleanup(fn func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cleanups = append(t.cleanups, fn)
}

// Failed tells whether anything failed.
func (t *trial) Failed() bool { return t.failures.join() != nil }

// Logf writes a line to stderr.
func (t *trial) Logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}

// Errorf writes a line and remembers the failure.
func (t *trial) Errorf(format string, args ...any) {
	t.Logf(format, args...)
	t.failures.mu.Lock()
	t.failures.errs = append(t.failures.errs, fmt.Errorf(format, args...))
	t.failures.mu.Unlock()
}

// Fatalf does that and ends the calling goroutine, as a test's does.
func (t *trial) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

// Close runs the cleanups that were registered since the last Close.
func (t *trial) Close() {
	for fn := t.last(); fn != nil; fn = t.last() {
		fn()
	}
}

// last takes the last cleanup.
func (t *trial) last() (fn func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.cleanups); n > 0 {
		fn, t.cleanups = t.cleanups[n-1], t.cleanups[:n-1]
	}
	return fn
}
