package lab_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// recorder is a test that notes its errors and cleans up when it is told.
type recorder struct {
	*testing.T
	errors   []string
	cleanups []func()
}

func (r *recorder) Cleanup(f func())          { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(f string, a ...any) { r.errors = append(r.errors, fmt.Sprintf(f, a...)) }
func (r *recorder) Failed() bool              { return false }

// A slirp4netns that its filter kills fails the test, also one that waits for
// an end and does not look at it.
func TestForbiddenCallFails(t *testing.T) {
	path := filepath.Join(lab.TempDir(t, lab.OrdinaryUID), "killed")
	const killed = "#!/bin/sh\nprintf 1 >&3\nexec 3>&-\nkill -SYS $$\n"
	if err := lab.WriteExecutable(path, killed); err != nil {
		t.Fatal(err)
	}
	r := &recorder{T: t}
	s := lab.StartSlirp(r, lab.SlirpOptions{Binary: path})
	s.Wait(limit)
	for _, f := range r.cleanups {
		f()
	}
	if got := strings.Join(r.errors, "\n"); !strings.Contains(got, "killed by its seccomp filter: signal: bad system call") {
		t.Errorf("the errors are %q", got)
	}
}
