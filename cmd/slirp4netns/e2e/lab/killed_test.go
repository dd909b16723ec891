package lab_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// killedEnv makes this test's binary a program that runs a shell's commands in
// a lab of its own, and finds nothing wrong with it.
const killedEnv = "SLIRP_TEST_KILLED"

func TestMain(m *testing.M) {
	if commands := os.Getenv(killedEnv); commands != "" {
		lab.Main(killed(commands))
	}
	lab.Main(m)
}

type killed string

func (commands killed) Run() int {
	out, err := lab.Command(context.Background(), lab.OrdinaryUID, "sh", "-c", string(commands)).CombinedOutput()
	os.Stdout.Write(out)
	if err != nil {
		return 2
	}
	return 0
}

// A slirp4netns that its filter kills fails the whole program, whoever started
// it and was told, and although the program itself found nothing.
func TestForbiddenCallElsewhere(t *testing.T) {
	const (
		program = `cd $HOME; printf '#!/bin/sh\nkill -%s $$\n' >victim; chmod +x victim; `
		pause   = `; sleep 0.3` // the orphan's end
	)
	for _, c := range []struct {
		name, signal, commands string
		fails                  bool
		waited                 bool // by a parent that is not the lab's
	}{
		{"started twice removed, as by Podman", "SYS", `(./victim &)` + pause, true, false},
		{"by a session leader that has ended, as by conmon", "SYS", `setsid sh -c './victim & exit'` + pause, true, false},
		{"waited for, as by RootlessKit", "SYS", `./victim & wait; true`, true, true},
		{"in PIDs of its own", "SYS", `unshare -Urpf sh -c './victim; true'`, true, true},
		{"ended by another signal", "TERM", `(./victim &)` + pause, false, false},
		{"ended by another signal, waited for", "KILL", `./victim & wait; true`, false, false},
	} {
		if c.waited && lab.OneUser() {
			continue // who may not have the kernel keep accounts: see startAccounting
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "stderr")
			stderr, err := os.Create(file)
			if err != nil {
				t.Fatal(err)
			}
			defer stderr.Close()
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), lab.WatchedEnv+"=victim", killedEnv+"="+strings.Replace(program, "%s", c.signal, 1)+c.commands)
			cmd.Stderr = stderr
			start := time.Now()
			out, err := cmd.Output()
			said, _ := os.ReadFile(file)
			want, message := 0, ""
			if c.fails {
				want, message = 1, "lab: killed by its seccomp filter: "
			}
			if got := cmd.ProcessState.ExitCode(); got != want || !strings.Contains(string(said), message) || strings.Contains(string(said), "seccomp filter: ") != c.fails {
				t.Errorf("status %d (%v) after %v, want %d\n%s%s", got, err, time.Since(start), want, out, said)
			}
		})
	}
}
