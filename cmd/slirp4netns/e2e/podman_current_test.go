package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// podmanVersion is one of the Podmans.
type podmanVersion string

const (
	aptPodman     podmanVersion = "4.3.1"
	currentPodman podmanVersion = "5.4.2" // that of lab/podman.mod
)

// overPodmans runs a test with Debian's Podman and with a current one.
func overPodmans(t *testing.T, test func(*testing.T, podmanVersion)) {
	for _, version := range []podmanVersion{aptPodman, currentPodman} {
		t.Run(string(version), func(t *testing.T) { test(t, version) })
	}
}

// currentPodmanConf has it use slirp4netns where it is not told what to use.
const currentPodmanConf = `
[network]
default_rootless_network_cmd = "slirp4netns"
`

// currentPodmanRuntime is Debian's crun, which looks at nothing else that is new
// but at the number of the specification, and refuses it.
const currentPodmanRuntime = `#!/bin/sh
for a; do
	[ "$before" != --bundle ] || sed -i 's/"ociVersion":"1.2.[0-9]"/"ociVersion":"1.0.2"/' "$a/config.json"
	before=$a
done
exec /usr/bin/crun "$@"
`

// beCurrent makes it that of `make clients`.
func (p *podman) beCurrent() {
	p.t.Helper()
	program, err := os.ReadFile("../../../bin/lab/podman")
	if err != nil {
		p.t.Fatalf("%v (run make clients)", err)
	}
	p.program, p.runtime = filepath.Join(p.dir, "bin/podman"), filepath.Join(p.dir, "bin/crun")
	for path, content := range map[string]string{
		p.program: string(program), p.runtime: currentPodmanRuntime, filepath.Join(p.dir, "containers.conf"): currentPodmanConf,
	} {
		if err := lab.WriteExecutable(path, content); err != nil {
			p.t.Fatal(err)
		}
	}
	p.env = append(p.env, "CONTAINERS_CONF="+filepath.Join(p.dir, "containers.conf"))
}
