package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/ipc/door"
)

// TestNoNetworkStack: what runs where the guest's root is has nothing of what
// it does not need.
func TestNoNetworkStack(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	if len(deps) < 50 {
		t.Fatalf("only %d dependencies: %v", len(deps), deps)
	}
	for _, d := range deps {
		for _, never := range []string{"gvisor.dev/", "github.com/slirp4netns-go/slirp4netns/parent", "github.com/miekg/dns", "github.com/jessevdk/", "net/http"} {
			if strings.HasPrefix(d, never) {
				t.Errorf("slirp-child links %s", d)
			}
		}
	}
}

// TestByHand is somebody who runs it as a command, or builds it in another way.
func TestByHand(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ flags, env, want string }{
		"by hand":   {door.EntryFlag, "", "slirp-child: this program is run by slirp4netns, not by hand\n"},
		"no entry":  {"", "SLIRP4NETNS_DOOR=D-----:child", "slirp-child: " + door.ErrNotLinked.Error() + "\n"},
		"no marker": {door.EntryFlag, "SLIRP4NETNS_DOOR=rubbish", "slirp-child: door: malformed marker \"rubbish\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
			build := exec.Command("go", "build", "-o", path, "-ldflags", c.flags, ".")
			build.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			cmd := exec.Command(path)
			cmd.Env = []string{c.env}
			out, err := cmd.CombinedOutput()
			if err == nil || string(out) != c.want {
				t.Errorf("%v, %q, want %q", err, out, c.want)
			}
		})
	}
}
