package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// TestPodmanBridge is a network of containers, which share one slirp4netns. It
// ends, by a signal, with the last of them.
func TestPodmanBridge(t *testing.T) { overPodmans(t, testPodmanBridge) }

func testPodmanBridge(t *testing.T, version podmanVersion) {
	p := newPodman(t, version, user)
	p.do("network", "create", "shared")
	port := freePort(t)
	a := p.run("a", "shared", serve, "-p", fmt.Sprintf("%d:8080", port))
	b := p.run("b", "shared", wait)
	if all := p.starts(); len(all) != 1 {
		t.Errorf("%d times slirp4netns for two containers, want one: %v", len(all), all)
	}
	at := fmt.Sprintf("127.0.0.1:%d", port)
	if got := whenUp(t, at); got != containerPage {
		t.Errorf("%s: %q, want %q", at, got, containerPage)
	}
	// Names are asked of the network's own server, which asks ours.
	got := b.sh("wget -qO- http://lab.test/; wget -qO- http://a:8080/; wget -qO- http://198.51.100.2/client | sed 's/:.*//'")
	if want := lab.InetPage + containerPage + "198.51.100.1"; got != want {
		t.Errorf("a container gets %q, want %q", got, want)
	}
	p.do("stop", "-t0", "a")
	if got := p.do("unshare", "--rootless-netns", "curl", "-sSm5", "http://198.51.100.2/"); got != lab.InetPage {
		t.Errorf("with one container, %q, want %q", got, lab.InetPage)
	}
	p.do("stop", "-t0", "b")
	p.checkNothingLeft(a.slirp, port)
}

// TestPodmanPod is two containers in one network namespace, whose ports were
// published when there was none yet.
func TestPodmanPod(t *testing.T) { overPodmans(t, testPodmanPod) }

func testPodmanPod(t *testing.T, version podmanVersion) {
	p := newPodman(t, version, user)
	port := freePort(t)
	p.do("pod", "create", "--name", "pod", "--network", servingNetwork, "-p", fmt.Sprintf("%d:8080", port))
	inPod := func(name, command string) {
		t.Helper()
		p.do("run", "-d", "--pod", "pod", "--name", name, "--cgroups=disabled", "--rootfs", p.root, "/bin/sh", "-c", command)
	}
	inPod("server", serve)
	inPod("client", wait)
	slirp := p.last()
	at := fmt.Sprintf("127.0.0.1:%d", port)
	if got := whenUp(t, at); got != containerPage {
		t.Errorf("%s: %q, want %q", at, got, containerPage)
	}
	got := p.do("exec", "client", "/bin/sh", "-c", "wget -qO- http://127.0.0.1:8080/; wget -qO- http://lab.test/")
	if want := containerPage + lab.InetPage; got != want {
		t.Errorf("the other container gets %q, want %q", got, want)
	}
	p.do("pod", "rm", "-f", "-t0", "pod")
	p.checkNothingLeft(slirp, port)
}

// TestPodmanDefaultPorts is ports that Podman forwards itself, past
// slirp4netns: everybody who comes in by them has the container's address.
func TestPodmanDefaultPorts(t *testing.T) { overPodmans(t, testPodmanDefaultPorts) }

func testPodmanDefaultPorts(t *testing.T, version podmanVersion) {
	p := newPodman(t, version, user)
	port := freePort(t)
	box := p.run("box", "slirp4netns", wait, "-p", fmt.Sprintf("%d:80", port))
	serveTCP(t, box.network(), "0.0.0.0:80", tellPeer)
	for _, c := range []client{{"loopback", nil, "", "127.0.0.1"}, {"IPv6 loopback", nil, "", "::1"}, {"remote", lab.Inet, "", "198.51.100.1"}} {
		got, err := c.answer("tcp", port)
		if err != nil || !strings.HasPrefix(got, "10.0.2.100:") {
			t.Errorf("%s: seen as %q, %v; want the container's own address", c.name, got, err)
		}
	}
	p.do("stop", "-t0", "box")
	p.checkNothingLeft(box.slirp, port)
}

// TestPodmanRoot is Podman of root, whose containers have no user namespace.
func TestPodmanRoot(t *testing.T) { overPodmans(t, testPodmanRoot) }

func testPodmanRoot(t *testing.T, version podmanVersion) {
	p := newPodman(t, version, 0)
	port := freePort(t)
	s := &serving{p.run("web", servingNetwork+",allow_host_loopback=true", serve, "-p", fmt.Sprintf("%d:8080", port)), port}
	s.checkServes()
	if got := s.sh("wget -qO- http://10.0.2.2:8000/"); got != lab.HostPage {
		t.Errorf("host's loopback: %q, want %q", got, lab.HostPage)
	}
	s.do("stop", "-t0", "web")
	s.checkNothingLeft(s.slirp, port)
}

// TestPodmanBuild is a build, whose command has the network.
func TestPodmanBuild(t *testing.T) { overPodmans(t, testPodmanBuild) }

func testPodmanBuild(t *testing.T, version podmanVersion) {
	p := newPodman(t, version, user)
	p.containerfile("FROM scratch\nCOPY rootfs /\nRUN wget -qO /got http://lab.test/\n")
	p.do("build", "--isolation", "rootless", "-q", "-t", "built", "-f", p.dir+"/Containerfile", p.dir)
	slirp := p.last()
	if got := p.do("run", "--rm", "--cgroups=disabled", "--network", "slirp4netns", "built", "/bin/sh", "-c", "sed -n p /got"); got != lab.InetPage {
		t.Errorf("the image has %q, want %q", got, lab.InetPage)
	}
	p.checkNothingLeft(slirp)
}
