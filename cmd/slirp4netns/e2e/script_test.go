package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// TestScript runs testdata/script/*.txt. Each has a guest of its own, whose
// PID is $PID. "exec slirp4netns" is the built program, run by the ordinary
// user who owns the guest, and "exec guest CMD" runs CMD inside the guest. What
// follows "[locked]" is for where the program is given lab.Locks.
func TestScript(t *testing.T) {
	lab.RequireBinary(t)
	testscript.Run(t, testscript.Params{
		Dir:         "../../../testdata/script",
		WorkdirRoot: lab.TempDir(t, 0),
		Condition: func(c string) (bool, error) {
			if c != "locked" {
				return false, fmt.Errorf("unknown condition %q", c)
			}
			return lab.Locked(), nil
		},
		Setup: func(env *testscript.Env) error {
			return setUpScript(scriptT{env}, env)
		},
	})
}

// setUpScript makes the guest and the two commands.
func setUpScript(t lab.T, env *testscript.Env) error {
	g := lab.NewGuest(t, lab.GuestOptions{})
	user := lab.AsUser(g.UID)
	bin := filepath.Join(env.WorkDir, ".bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	for name, prefix := range map[string][]string{
		"slirp4netns": slices.Concat(user, []string{lab.Binary}, lab.Locks()),
		"guest":       slices.Concat(user, g.Enter()),
	} {
		script := fmt.Sprintf("#!/bin/sh\nexec %s \"$@\"\n", strings.Join(prefix, " "))
		if err := lab.WriteExecutable(filepath.Join(bin, name), script); err != nil {
			return err
		}
	}
	env.Setenv("PATH", bin+":/usr/sbin:/usr/bin:/sbin:/bin")
	env.Setenv("PID", strconv.Itoa(g.PID))
	env.Setenv("USERNS", g.UserNS())
	env.Setenv("NETNS", g.Path())
	return lab.Give(env.WorkDir, g.UID)
}

// scriptT is the lab's view of a script.
type scriptT struct{ env *testscript.Env }

func (t scriptT) Helper()                           {}
func (t scriptT) Name() string                      { return t.env.WorkDir }
func (t scriptT) Cleanup(fn func())                 { t.env.Defer(fn) }
func (t scriptT) Failed() bool                      { return false }
func (t scriptT) Logf(format string, args ...any)   { t.env.T().Log(fmt.Sprintf(format, args...)) }
func (t scriptT) Errorf(format string, args ...any) { t.Fatalf(format, args...) }
func (t scriptT) Fatalf(format string, args ...any) { t.env.T().Fatal(fmt.Sprintf(format, args...)) }
