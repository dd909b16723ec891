package lab_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// Where the locks are wanted, a data plane without one of them fails the whole
// program, whoever started it, although the program itself found nothing.
func TestUnlockedElsewhere(t *testing.T) {
	const (
		program = `cd $HOME; printf '#!/bin/sh\nsleep 0.5\n' >victim; chmod +x victim; `
		running = `setpriv --no-new-privs ` // what data planes of ours have set
		both    = ` --enable-sandbox --enable-seccomp`
		kit     = ` --api-socket /x/.s4nn.sock --netns-type=path /x tap0`
	)
	for _, c := range []struct {
		name, commands string
		wanted         string // lab.LockedEnv
		fails          bool
	}{
		{"bare", running + `./victim -c 1 tap0`, "1", true},
		{"started twice removed", `setsid sh -c '` + running + `./victim -c 1 tap0 & exit'; sleep 0.6`, "1", true},
		{"one lock", running + `./victim --enable-seccomp 1 tap0`, "1", true},
		{"both", running + `./victim` + both + ` 1 tap0`, "1", false},
		{"both are not wanted", running + `./victim -c 1 tap0`, "", false},
		{"not yet a data plane", `./victim -c 1 tap0`, "1", false},
		{"excused", running + `./victim` + strings.Replace(kit, " --netns", " --enable-seccomp --netns", 1), "1", false},
		{"excused from one", running + `./victim` + kit, "1", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), lab.WatchedEnv+"=victim", lab.LockedEnv+"="+c.wanted, killedEnv+"="+program+c.commands)
			var said lab.Log
			cmd.Stderr = &said
			out, err := cmd.Output()
			found := strings.Contains(said.String(), "lab: started without both locks: ") && strings.Contains(said.String(), "./victim ")
			if found != c.fails || (cmd.ProcessState.ExitCode() == 1) != c.fails {
				t.Errorf("%v, want to fail: %t\n%s%s", err, c.fails, out, said.String())
			}
		})
	}
}
