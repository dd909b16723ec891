package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// podman is a Podman with containers of its own.
type podman struct {
	*caller
	program, runtime string
	uid              int
	root             string // of all its containers
}

// newPodman makes one that knows no container. An ordinary user's is rootless.
func newPodman(t *testing.T, version podmanVersion, uid int) *podman {
	t.Helper()
	p := &podman{caller: newCaller(t, uid), program: "podman", runtime: "crun", uid: uid}
	p.root = p.rootfs(uid)
	if version == currentPodman {
		p.beCurrent()
	}
	t.Cleanup(func() {
		if _, err := p.try("rm", "-af", "-t0"); err != nil {
			p.do("rm", "-af", "-t0") // 5.4.2 notices only then that a monitor is gone
		}
		// It keeps a process that holds its namespaces.
		if b, err := os.ReadFile(filepath.Join(p.dir, "libpod/tmp/pause.pid")); err == nil {
			if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
	return p
}

// options keep it from everything that a machine may have set up.
func (p *podman) options() []string {
	return []string{"--storage-driver", "vfs", "--root", p.dir + "/graph", "--runroot", p.dir + "/run", "--network-config-dir", p.dir + "/networks",
		"--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", p.runtime}
}

// try runs a command of it.
func (p *podman) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*commandTimeout)
	defer cancel()
	cmd := p.in(lab.Command(ctx, p.uid, p.program, append(p.options(), args...)...))
	var stderr lab.Log
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out) + stderr.String(), err
	}
	return string(out), nil
}

// do is try, which must succeed. It returns what is on standard output.
func (p *podman) do(args ...string) string {
	p.t.Helper()
	out, err := p.try(args...)
	if err != nil {
		p.t.Fatalf("podman %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

// container is one that runs.
type container struct {
	*podman
	name  string
	slirp start
}

// run starts a container. Its network's options, and further ones, come first.
func (p *podman) run(name, network, command string, options ...string) *container {
	p.t.Helper()
	args := append([]string{"run", "-d", "--name", name, "--cgroups=disabled", "--network", network}, options...)
	p.do(append(args, "--rootfs", p.root, "/bin/sh", "-c", command)...)
	c := &container{podman: p, name: name}
	c.connected()
	return c
}

// connected notes which slirp4netns the container has now.
func (c *container) connected() {
	c.t.Helper()
	c.slirp = c.last()
	if !c.slirp.running() {
		c.t.Fatalf("slirp4netns %s does not run", c.slirp.args)
	}
}

// pid is that of the container's first process, or of its monitor.
func (c *container) pid(which string) int {
	c.t.Helper()
	out := c.do("inspect", "--format", "{{.State."+which+"}}", c.name)
	pid, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil || pid <= 0 {
		c.t.Fatalf("%s of %s: %q", which, c.name, out)
	}
	return pid
}

// Which PIDs there are.
const (
	firstProcess = "Pid"
	monitor      = "ConmonPid"
)

// network is the container's network namespace.
func (c *container) network() *lab.Namespace {
	c.t.Helper()
	return lab.NamespaceOf(c.pid(firstProcess))
}

// sh runs a shell's script in the container.
func (c *container) sh(script string) string {
	c.t.Helper()
	return c.do("exec", c.name, "/bin/sh", "-c", script)
}

// containerfile writes one, and keeps what is not part of the image out.
func (p *podman) containerfile(text string) {
	p.t.Helper()
	for name, content := range map[string]string{"Containerfile": text, ".containerignore": "*\n!rootfs\n"} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(content), 0o644); err != nil {
			p.t.Fatal(err)
		}
	}
}
