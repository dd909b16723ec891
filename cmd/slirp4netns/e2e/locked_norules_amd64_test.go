package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// TestWithoutRules is the program for an architecture that has no rules for the
// filter, and that can be run here: i386. Callers pass what --help advertises, so
// it does not; who asks for the filter all the same is warned, and served.
func TestWithoutRules(t *testing.T) {
	binary := filepath.Join(lab.TempDir(t, user), "slirp4netns-386")
	build := exec.Command("go", "build", "-o", binary, "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=386")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	help, err := lab.Command(t.Context(), user, binary, "--help").Output()
	if err != nil || strings.Contains(string(help), "seccomp") || !strings.Contains(string(help), "--enable-sandbox") {
		t.Errorf("--help: %v\n%s", err, help)
	}
	// There is no door either, which a TAP that is passed does not need.
	g := lab.NewGuest(t, byUser)
	tap := openTAP(t, g, 0)
	g.Run(t, commandTimeout, "sh", "-c",
		"ip link set tap0 up && ip addr add 10.0.2.100/24 dev tap0 && ip route add default via 10.0.2.2")
	s := lab.StartSlirp(t, lab.SlirpOptions{Binary: binary, Unlocked: true, UID: user, Files: []*os.File{tap},
		Args: []string{"--enable-seccomp", "--netns-type=tapfd", "5"}})
	tap.Close()
	checkReachesHost(t, g)
	await(t, "the warning", func() bool {
		return strings.Contains(s.Log(), "WARNING: --enable-seccomp: there are no rules for 386, continuing without it\n")
	})
}
