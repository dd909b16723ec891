package parent

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/slirp4netns-go/slirp4netns/"

// pkg is what go list tells about a package.
type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
	Deps       []string
}

// packages are those of the module, by their path in it.
func packages(t *testing.T) map[string]pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports,Deps", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]pkg)
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimPrefix(p.ImportPath, module)] = p
	}
	if _, ok := all["parent"]; !ok {
		t.Fatalf("no package parent among %d", len(all))
	}
	return all
}

// TestLayers: dependencies run one way, cmd → parent → its parts → ipc.
func TestLayers(t *testing.T) {
	// Of the paths that match pkg, none depends on what matches never.
	rules := []struct{ pkg, never string }{
		{`^ipc(/|$)`, `^(parent|child|cmd|seccomp)(/|$)|^gvisor\.dev/`},
		{`^child$`, `^(parent|cmd|seccomp)(/|$)|^gvisor\.dev/`},
		{`^cmd/slirp-child$`, `^parent(/|$)|^gvisor\.dev/`},
		{`^parent(/|$)`, `^(child|cmd)(/|$)`},
		{`^(cmd|parent|child|ipc)(/|$)|^seccomp$`, `^seccomp/internal/`}, // of tests
		{`^parent/`, `^parent$`},
		{`^parent/(outbound|hostfwd|dhcp|dns|ndp|api|link)$`, `^parent/dataplane$`},
		{`^seccomp$`, `^(parent|child|cmd|ipc)(/|$)|^gvisor\.dev/`},
	}
	for path, p := range packages(t) {
		for _, r := range rules {
			if !regexp.MustCompile(r.pkg).MatchString(path) {
				continue
			}
			never := regexp.MustCompile(r.never)
			for _, d := range p.Deps {
				if d := strings.TrimPrefix(d, module); never.MatchString(d) {
					t.Errorf("%s depends on %s", path, d)
				}
			}
		}
	}
}

// TestServicesAreApart: parent/dataplane wires them, and nobody else does.
func TestServicesAreApart(t *testing.T) {
	services := []string{"outbound", "hostfwd", "dhcp", "dns", "ndp", "api"}
	all := packages(t)
	for _, s := range services {
		for _, d := range all["parent/"+s].Deps {
			other, ok := strings.CutPrefix(d, module+"parent/")
			if ok && other != s && slices.Contains(services, other) {
				t.Errorf("parent/%s depends on parent/%s", s, other)
			}
		}
	}
}

// TestWhoKnowsNamespaces: the fewer there are, the easier to review.
func TestWhoKnowsNamespaces(t *testing.T) {
	knows := []string{"ipc/door", "child", "parent", "parent/sandbox", "cmd/slirp4netns", "cmd/slirp-child",
		"cmd/slirp4netns/e2e/lab",
		"seccomp/internal/dangerous"} // names what the filter has to refuse, for tests
	call := regexp.MustCompile(`\b(Setns|Unshare|CLONE_NEW[A-Z]+|NS_GET_[A-Z]+|PivotRoot|unix\.Mount)\b`)
	for path, p := range packages(t) {
		if slices.Contains(knows, path) {
			continue
		}
		if slices.Contains(p.Imports, module+"ipc/door") {
			t.Errorf("%s imports ipc/door", path)
		}
		for _, f := range p.GoFiles {
			b, err := os.ReadFile(filepath.Join(p.Dir, f))
			if err != nil {
				t.Fatal(err)
			}
			if m := call.Find(b); m != nil {
				t.Errorf("%s/%s has %s", path, f, m)
			}
		}
	}
}
