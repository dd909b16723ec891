package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// TestBuildahRun is a command of a build, which has an interface and a name
// server, and reaches the host's loopback: Buildah does not forbid it.
func TestBuildahRun(t *testing.T) {
	b := newCaller(t, user)
	buildah := func(args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 2*commandTimeout)
		defer cancel()
		cmd := b.in(lab.Command(ctx, user, "buildah", append([]string{"--storage-driver", "vfs", "--root", b.dir + "/graph", "--runroot", b.dir + "/run"}, args...)...))
		var stderr lab.Log
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("buildah %s: %v: %s%s", strings.Join(args, " "), err, out, stderr.String())
		}
		return string(out)
	}
	box := strings.TrimSpace(buildah("from", "scratch"))
	buildah("copy", "-q", box, b.rootfs(user), "/")
	want := fmt.Sprintf("addr 10.0.2.100/24\nmtu 65520\ndns 10.0.2.3\nname %ssource 198.51.100.1\nsource6 \nloopback %s", lab.InetPage, lab.HostPage)
	got := buildah("run", "--isolation", "rootless", "--runtime", "crun", box, "--", "/bin/sh", "-c", fmt.Sprintf(look, "10.0.2.2"))
	if got != want {
		t.Errorf("it sees\n%s\nwant\n%s", got, want)
	}
	b.checkNothingLeft(b.last())
}
