package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/slirp4netns-go/slirp4netns/cmd/slirp4netns/e2e/lab"
)

// differences say what ours prints where the C program prints the argument.
// Why they are is in testdata/cli/differences.txt.
var differences = map[string]func(result) result{
	"usage": func(c result) result {
		c.Stdout = usageOf13.Replace(c.Stdout)
		return c
	},
	"twice": func(c result) result {
		if half := c.Stdout[len(c.Stdout)/2:]; c.Stdout == half+half {
			c.Stdout = half
		}
		return c
	},
	"version": func(c result) result {
		c.Stdout = versionLines.ReplaceAllLiteralString(c.Stdout, ourVersion())
		return c
	},
	"outbound6-interface": func(c result) result {
		if c.Stderr == "outbound-addr has to be valid ipv4 address or iterface name." {
			c.Stderr = "/proc/999999999/ns/net: No such file or directory\nchild failed(1)\n"
		}
		return c
	},
	"tapfd-value": func(c result) result {
		if c.Stderr == "" {
			c.Stderr = "TAPFD must a file descriptor\n"
		}
		c.Stdout = usageOf13.Replace(c.Stdout)
		return c
	},
	"tapfd-closed": func(c result) result {
		if strings.HasPrefix(c.Stdout, "Usage: ") {
			c.Stdout, c.Stderr = "", "tapfd 99: Bad file descriptor\n"
		}
		return c
	},
	"bess": func(c result) result {
		if c.Stderr == "child_bess: bind: No such file or directory\nchild failed(1)\n" {
			c.Stderr = "BESS socket /nowhere/bess: bind: No such file or directory\n"
		}
		return c
	},
}

var usageOf13 = strings.NewReplacer(
	" PID|PATH [TAPNAME]\n", " PID|PATH|FD [TAPNAME]\n",
	"([path|pid], default=pid)", "([path|pid|tapfd], default=pid)",
	lastOfUsage, lastOfUsage+ownUsage,
)

// lastOfUsage is the last line of the C program's help.
const lastOfUsage = "-v, --version            show version and exit\n"

// versionLines is what the C program prints for --version.
var versionLines = regexp.MustCompile(`slirp4netns version \d+\.\d+\.\d+
commit: [0-9a-f]+
libslirp: \d+\.\d+\.\d+
SLIRP_CONFIG_VERSION_MAX: \d+
libseccomp: \d+\.\d+\.\d+
`)

// ourVersion is what ours prints for --version; TestVersion looks into it.
var ourVersion = sync.OnceValue(func() string {
	out, err := exec.Command(lab.Binary, "--version").Output()
	if err != nil {
		return err.Error()
	}
	return string(out)
})

// Each difference has its reason, and nothing else has one.
func TestDifferencesHaveReasons(t *testing.T) {
	text, err := os.ReadFile(differencesFile)
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, reason, ok := strings.Cut(line, ": ")
		if !ok || reason == "" {
			t.Errorf("%s: %q: want \"name: reason\"", differencesFile, line)
		}
		reasons[name] = true
		if differences[name] == nil {
			t.Errorf("%s: no difference is called %q", differencesFile, name)
		}
	}
	for name := range differences {
		if !reasons[name] {
			t.Errorf("%s: no reason for %q", differencesFile, name)
		}
	}
}
