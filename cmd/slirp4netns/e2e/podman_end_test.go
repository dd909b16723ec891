package e2e

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// serving is a container whose own server is published, by slirp4netns itself.
type serving struct {
	*container
	port int
}

// serve is what it runs.
const serve = "exec httpd -f -p 8080 -h /www"

const servingNetwork = "slirp4netns:port_handler=slirp4netns"

func newServing(t *testing.T, version podmanVersion) *serving {
	t.Helper()
	port := freePort(t)
	s := &serving{port: port}
	s.container = newPodman(t, version, user).run("web", servingNetwork, serve, "-p", fmt.Sprintf("%d:8080", port))
	s.checkServes()
	return s
}

// checkServes gets the page, when the server is up.
func (s *serving) checkServes() {
	s.t.Helper()
	at := fmt.Sprintf("127.0.0.1:%d", s.port)
	if got := whenUp(s.t, at); got != containerPage {
		s.t.Errorf("%s: %q, want %q", at, got, containerPage)
	}
	if out := s.sh("wget -qO- http://lab.test/"); out != lab.InetPage {
		s.t.Errorf("the container gets %q, want %q", out, lab.InetPage)
	}
}

// whenUp is the page of a server that has just been started.
func whenUp(t *testing.T, at string) (page string) {
	t.Helper()
	await(t, at+" has a page", func() bool {
		out, err := lab.Command(t.Context(), 0, "curl", "-sSfm2", "http://"+at+"/").Output()
		page = string(out)
		return err == nil
	})
	return page
}

// TestPodmanRestart is a container that is stopped and started again, with its
// port.
func TestPodmanRestart(t *testing.T) { overPodmans(t, testPodmanRestart) }

func testPodmanRestart(t *testing.T, version podmanVersion) {
	s := newServing(t, version)
	s.do("stop", "-t0", s.name)
	s.checkNothingLeft(s.slirp, s.port)
	for _, again := range []string{"start", "restart"} {
		before := s.slirp
		args := []string{again, s.name}
		if again == "restart" {
			args = []string{again, "-t0", s.name}
		}
		s.do(args...)
		s.connected()
		if s.slirp.pid == before.pid {
			t.Errorf("after %s no other slirp4netns runs", again)
		}
		await(t, "the former slirp4netns has ended", func() bool { return !before.running() })
		s.checkServes()
	}
	s.do("rm", "-f", "-t0", s.name)
	s.checkNothingLeft(s.slirp, s.port)
}

// TestPodmanKill is a container that is killed, or of which something is.
func TestPodmanKill(t *testing.T) { overPodmans(t, testPodmanKill) }

func testPodmanKill(t *testing.T, version podmanVersion) {
	t.Run("by Podman", func(t *testing.T) {
		s := newServing(t, version)
		s.do("kill", s.name)
		s.checkNothingLeft(s.slirp, s.port)
	})
	for _, which := range []string{firstProcess, monitor} {
		t.Run(which, func(t *testing.T) {
			s := newServing(t, version)
			if err := syscall.Kill(s.pid(which), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			s.checkNothingLeft(s.slirp, s.port)
		})
	}
}

// TestPodmanKilledItself is a Podman that is killed while its container runs,
// which goes on.
func TestPodmanKilledItself(t *testing.T) { overPodmans(t, testPodmanKilledItself) }

func testPodmanKilledItself(t *testing.T, version podmanVersion) {
	p := newPodman(t, version, user)
	port := freePort(t)
	args := append(p.options(), "run", "--name", "web", "--cgroups=disabled", "--network", servingNetwork,
		"-p", fmt.Sprintf("%d:8080", port), "--rootfs", p.root, "/bin/sh", "-c", serve)
	cmd := p.in(lab.Command(context.Background(), user, p.program, args...))
	cmd.SysProcAttr.Setpgid = true // it starts itself once more
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the container runs", func() bool {
		out, err := p.try("inspect", "--format", "{{.State.Running}}", "web")
		return err == nil && strings.TrimSpace(out) == "true"
	})
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	s := &serving{&container{podman: p, name: "web"}, port}
	s.connected()
	s.checkServes()
	p.do("stop", "-t0", "web")
	p.checkNothingLeft(s.slirp, port)
}

// TestPodmanInfo is what Podman makes of --version.
func TestPodmanInfo(t *testing.T) { overPodmans(t, testPodmanInfo) }

func testPodmanInfo(t *testing.T, version podmanVersion) {
	p := newPodman(t, version, user)
	if got, want := p.do("version", "--format", "{{.Client.Version}}"), string(version); strings.TrimSpace(got) != want {
		t.Errorf("it is Podman %q, want %q", got, want)
	}
	says, status := runToEnd(t, user, lab.Binary, "--version")
	if status != 0 || !strings.HasPrefix(says, "slirp4netns version ") {
		t.Fatalf("--version: %d, %q", status, says)
	}
	out := p.do("info", "--format", "{{.Host.Slirp4NetNS.Executable}}\n{{.Host.Slirp4NetNS.Version}}")
	if want := p.dir + "/bin/slirp4netns\n" + says; strings.TrimSpace(out) != strings.TrimSpace(want) {
		t.Errorf("podman info has %q, want %q", out, want)
	}
}
