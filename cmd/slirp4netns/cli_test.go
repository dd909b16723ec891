package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// commandTimeout ends a program that should have ended by itself at once.
const commandTimeout = 10 * time.Second

// result is all that a caller sees of a program that has ended.
type result struct {
	Status int
	Stdout string
	Stderr string
}

// TestCommandLines gives every line of testdata/cli/commands.txt to our
// program and to the C program.
func TestCommandLines(t *testing.T) {
	requirePrograms(t)
	lines := readCommands(t)
	if len(lines) < 80 {
		t.Errorf("only %d command lines", len(lines))
	}
	shown := map[string]bool{}
	for _, line := range lines {
		t.Run(line.text, func(t *testing.T) {
			ours := runProgram(t, lab.Binary, line.env, line.args)
			want := runProgram(t, lab.Reference, line.env, line.args)
			for _, name := range line.differences {
				differs, ok := differences[name]
				if !ok {
					t.Fatalf("line %d: no difference is called %q", line.number, name)
				}
				changed := differs(want)
				if changed == want {
					t.Errorf("line %d: there is no such difference as %q here", line.number, name)
				}
				shown[name] = true
				want = changed
			}
			if diff := cmp.Diff(want, ours); diff != "" {
				t.Errorf("line %d: (-C program %v +ours):\n%s", line.number, line.differences, diff)
			}
		})
	}
	for name := range differences {
		if !shown[name] && !t.Failed() {
			t.Errorf("no command line shows the difference %q", name)
		}
	}
}

// requirePrograms fails unless both programs are there.
func requirePrograms(t *testing.T) {
	t.Helper()
	lab.RequireBinary(t)
	if _, err := os.Stat(lab.Reference); err != nil {
		t.Fatalf("the C program is not installed: apt-get install slirp4netns (%v)", err)
	}
}

// runProgram runs a program under the name that both are called by.
func runProgram(t *testing.T, path string, env, args []string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Args[0] = "slirp4netns"
	cmd.Dir = "/"
	cmd.Env = append([]string{"PATH=/usr/bin:/bin", "LC_ALL=C"}, env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	if ctx.Err() != nil {
		t.Fatalf("%s %q did not end within %v; stdout %q, stderr %q",
			path, args, commandTimeout, stdout.String(), stderr.String())
	}
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s %q: %v", path, args, err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}
